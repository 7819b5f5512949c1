"""Starts a build exactly once, although the API has no idempotency key and responses get lost."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

import msgspec

from builds_async.errors import (
    BuildsConnectionError,
    BuildsError,
    InternalServerError,
    ResponseDecodeError,
    with_advice,
)
from builds_async.models.builds import Build, BuildTriggerSource, created
from builds_async.models.envelope import Envelope
from builds_async.models.seeds import SeedRepo
from builds_async.session.call import Call
from builds_async.session.encode import body
from builds_async.session.redact import quoted
from builds_async.session.session import ApiSession

LOOKUPS = 3
"""How many times a build is looked up after a lost response."""

BETWEEN_LOOKUPS = 2.0
"""Seconds between two lookups, because lists may show a new build a little later."""

CLOCK_SKEW = timedelta(seconds=30)
"""How far this machine's clock may be ahead of the server's, if a response has no date."""

_BUILD = msgspec.json.Decoder(Envelope[Build])
_REMEMBERED = 100  # builds; a lookup lists at most 50

# The sources of builds that start by themselves. A build that was started by a call never has them.
_AUTOMATIC = frozenset(
    {
        BuildTriggerSource.PUSH,
        BuildTriggerSource.PUSH_EVENT,
        BuildTriggerSource.PULL_REQUEST,
        BuildTriggerSource.DEPLOY_HOOK,
    }
)


class LookupResult(msgspec.Struct, frozen=True):
    """The builds that a lookup found, newest first, and the server's date of its last response."""

    builds: Iterable[Build]
    date: datetime | None


Lookup = Callable[[], Awaitable[LookupResult]]


class BuildStarter:
    """Starts builds, and finds a build whose response was lost. No build is returned by two calls."""

    def __init__(self, session: ApiSession) -> None:
        self._session = session
        self._started: dict[str, None] = {}  # the last builds returned, which no other call may return
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by path, while in use

    async def start(
        self,
        path: str,
        lookups: Iterable[Lookup],
        *,
        branch: str | None,
        commit_hash: str | None,
        seed_repo: SeedRepo | None,
    ) -> Build:
        """POST to `path`. If the response is lost, find the build with `lookups`.

        A response is lost if the request may have arrived, but its result is unknown. A lookup returns builds
        of the same trigger or preview.
        """
        call = Call("POST", path, _BUILD, body=_start_body(branch, commit_hash, seed_repo))
        sent_at = 0.0

        def note_sent() -> None:
            nonlocal sent_at
            sent_at = self._session.clock.now()

        # Starts on one path go one after another. Otherwise a lookup might return the build of a concurrent
        # call whose response is still in flight.
        async with self._locks.setdefault(path, asyncio.Lock()):
            try:
                build = (await self._session.exchange(call, on_sent=note_sent)).result
            except (BuildsConnectionError, InternalServerError, ResponseDecodeError) as error:
                if isinstance(error, BuildsConnectionError) and not error.sent:
                    raise
                build = await self._find(error, tuple(lookups), sent_at, branch, commit_hash)
            self._started = dict.fromkeys([*self._started, build.build_uuid][-_REMEMBERED:])
            return build

    async def _find(
        self,
        lost: BuildsError,
        lookups: Sequence[Lookup],
        sent_at: float,
        branch: str | None,
        commit_hash: str | None,
    ) -> Build:
        """The build that the lost request started. If none is found, `lost` is raised with advice."""
        clock = self._session.clock
        for number in range(LOOKUPS):
            if number:
                await clock.sleep(BETWEEN_LOOKUPS)
            for lookup in lookups:
                try:
                    result = await lookup()
                except BuildsError as error:
                    raise with_advice(
                        lost, f"It is unknown whether the build started: the lookup failed: {error}"
                    ) from lost
                # The duration is from our clock and the date from the server's, so a difference between the
                # two clocks does not matter.
                since = _date_before(result.date, clock.now() - sent_at)
                for build in result.builds:
                    if build.build_uuid not in self._started and _matches(build, since, branch, commit_hash):
                        return build
        raise with_advice(
            lost,
            f"It is unknown whether the build started: no build of {_described(branch, commit_hash)} was"
            " found; check the Worker's latest build before you start it again",
        ) from lost


def _date_before(date: datetime | None, seconds: float) -> datetime:
    """The date `seconds` before a response, by the server's clock, which also dates builds.

    The server's date is cut to whole seconds. So the result may be up to a second early but never late: a
    build that the request started is not older.
    """
    return (date or datetime.now(UTC) - CLOCK_SKEW) - timedelta(seconds=seconds)


def checked_commit(commit_hash: str | None) -> str | None:
    """Return the hash. ValueError unless it is None or a full hash."""
    if commit_hash is not None and not re.fullmatch("[0-9a-fA-F]{40,64}", commit_hash):
        raise ValueError(
            f"commit_hash must be the full hash (40 to 64 hex digits), not {quoted(commit_hash)}"
        )
    return commit_hash


def _start_body(branch: str | None, commit_hash: str | None, seed_repo: SeedRepo | None) -> bytes:
    if not branch and not commit_hash:
        raise ValueError("a build needs a branch or a commit_hash")
    given = {"branch": branch, "commit_hash": checked_commit(commit_hash), "seed_repo": seed_repo}
    return body(**{name: it for name, it in given.items() if it})


def _matches(build: Build, since: datetime, branch: str | None, commit_hash: str | None) -> bool:
    """Whether a request that was sent at `since` may have started this build."""
    metadata = build.build_trigger_metadata
    if created(build) < since or metadata is None or metadata.build_trigger_source in _AUTOMATIC:
        return False
    commit = (metadata.commit_hash or "").lower()
    return (not branch or branch == metadata.branch) and (not commit_hash or commit_hash.lower() == commit)


def _described(branch: str | None, commit_hash: str | None) -> str:
    named = {"branch": branch, "commit": commit_hash}
    return " and ".join(f"{name} {it}" for name, it in named.items() if it)
