"""Starting a build just once, though the API has no idempotency key and responses get lost."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
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
"""How often a build is looked up after a lost response, `BETWEEN_LOOKUPS` seconds apart."""

BETWEEN_LOOKUPS = 2.0

CLOCKS_APART = timedelta(seconds=30)
"""How far this machine's clock may be from the server's, when the server does not give its time."""

_BUILD = msgspec.json.Decoder(Envelope[Build])
_REMEMBERED = 100
_OTHERS = frozenset(
    {
        BuildTriggerSource.PUSH,
        BuildTriggerSource.PUSH_EVENT,
        BuildTriggerSource.PULL_REQUEST,
        BuildTriggerSource.DEPLOY_HOOK,
    }
)


class Seen(NamedTuple):
    """What a lookup has seen: builds, newest first, and the server's date of its last response."""

    builds: Iterable[Build]
    date: datetime | None


Lookup = Callable[[], Awaitable[Seen]]


class BuildStarter:
    """Starts builds, and finds a build again whose response was lost; each for at most one call."""

    def __init__(self, session: ApiSession) -> None:
        self._session = session
        self._started: dict[str, None] = {}  # the last ones: none of them is the build of another call
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(
        self,
        path: str,
        lookups: Iterable[Lookup],
        *,
        branch: str | None,
        commit_hash: str | None,
        seed_repo: SeedRepo | None,
    ) -> Build:
        """POST once to `path`; if the response is lost, find the build by one of `lookups`.

        Lost is the response to a request that may have arrived. A lookup gives builds of the same trigger or
        preview, newest first.
        """
        call = Call("POST", path, _BUILD, body=_request(branch, commit_hash, seed_repo))
        sent_at = 0.0

        def note() -> None:
            nonlocal sent_at
            sent_at = self._session.clock.now()

        # One after another: else a lost call could take the build whose response is on its way to another.
        async with self._locks.setdefault(path, asyncio.Lock()):
            try:
                build = (await self._session.exchange(call, on_sent=note)).result
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
        """The build that was started all the same. If none is to be seen, `lost` with what that means."""
        clock = self._session.clock
        for number in range(LOOKUPS):
            if number:
                await clock.sleep(BETWEEN_LOOKUPS)
            for lookup in lookups:
                try:
                    seen = await lookup()
                except BuildsError as error:
                    raise with_advice(
                        lost, f"Whether it was started is unknown, looking for the build failed: {error}"
                    ) from lost
                since = _since(seen.date, clock.now() - sent_at)
                for build in seen.builds:
                    if build.build_uuid not in self._started and _fits(build, since, branch, commit_hash):
                        return build
        raise with_advice(
            lost,
            f"Whether it was started is unknown, no build of {_wanted(branch, commit_hash)} was found;"
            " look at the Worker's latest build before you start it again",
        ) from lost


def _since(date: datetime | None, seconds: float) -> datetime:
    """The date `seconds` ago by the server's clock, which dates builds; the machine's may be wrong."""
    return (date or datetime.now(UTC) - CLOCKS_APART) - timedelta(seconds=seconds)


def _request(branch: str | None, commit_hash: str | None, seed_repo: SeedRepo | None) -> bytes:
    if not branch and not commit_hash:
        raise ValueError("a build needs a branch or a commit_hash")
    if commit_hash is not None and not re.fullmatch("[0-9a-fA-F]{40,64}", commit_hash):
        raise ValueError(
            f"commit_hash is the full hash of 40 digits, not {quoted(commit_hash)}: a short one fails"
        )
    given = {"branch": branch, "commit_hash": commit_hash, "seed_repo": seed_repo}
    return body(**{name: it for name, it in given.items() if it})


def _fits(build: Build, since: datetime, branch: str | None, commit_hash: str | None) -> bool:
    """Whether this may be the build that a call with a lost response has started."""
    metadata = build.build_trigger_metadata
    if created(build) < since or metadata is None or metadata.build_trigger_source in _OTHERS:
        return False
    commit = (metadata.commit_hash or "").lower()
    return (not branch or branch == metadata.branch) and (not commit_hash or commit_hash.lower() == commit)


def _wanted(branch: str | None, commit_hash: str | None) -> str:
    named = {"branch": branch, "commit": commit_hash}
    return " and ".join(f"{name} {it}" for name, it in named.items() if it)
