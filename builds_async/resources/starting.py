"""Starting a build just once, though the API has no idempotency key and answers get lost."""

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
)
from builds_async.models.builds import Build, BuildTriggerSource, created
from builds_async.models.envelope import Envelope
from builds_async.models.seeds import SeedRepo
from builds_async.session.api import ApiSession
from builds_async.session.wire import body, quoted

LOOKS = 3
"""How often a build is looked for after a lost answer, `BETWEEN_LOOKS` seconds apart."""

BETWEEN_LOOKS = 2.0

CLOCKS_APART = timedelta(seconds=30)
"""How far this machine's clock may be from the server's, when the server does not tell its time."""

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

Look = Callable[[], Awaitable[Iterable[Build]]]


class Starter:
    """Starts builds, and finds a build again whose answer was lost; each at most for one call."""

    def __init__(self, session: ApiSession) -> None:
        self._session = session
        self._started: dict[str, None] = {}  # the last ones: none of them answers another call
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(
        self,
        path: str,
        looks: Iterable[Look],
        *,
        branch: str | None,
        commit_hash: str | None,
        seed_repo: SeedRepo | None,
    ) -> Build:
        """POST once to `path`; if the answer is lost, find the build by one of `looks`.

        What is lost is an answer to a request that may have arrived. A look gives builds of the same
        trigger or preview, newest first.
        """
        data = _request(branch, commit_hash, seed_repo)
        # One after another: else a lost call could take the build whose answer is on its way to another.
        async with self._locks.setdefault(path, asyncio.Lock()):
            try:
                envelope = await self._session.envelope("POST", path, _BUILD, body=data, nullable=False)
                build = envelope.result
            except (BuildsConnectionError, InternalServerError, ResponseDecodeError) as error:
                if isinstance(error, BuildsConnectionError) and not error.sent:
                    raise
                found = await self._find(error, tuple(looks), branch, commit_hash)
                if found is None:
                    raise
                build = found
            self._started = dict.fromkeys([*self._started, build.build_uuid][-_REMEMBERED:])
            return build

    async def _find(
        self,
        lost: BuildsError,
        looks: Sequence[Look],
        branch: str | None,
        commit_hash: str | None,
    ) -> Build | None:
        """The build that was started all the same; None, and `lost` says so, if none is to be seen."""
        clock = self._session.clock
        sent_at = clock.now() if lost.sent_at is None else lost.sent_at
        for number in range(LOOKS):
            if number:
                await clock.sleep(BETWEEN_LOOKS)
            for look in looks:
                try:
                    builds = await look()
                except BuildsError as error:
                    lost.add(f"Whether it was started is unknown, looking for the build failed: {error}")
                    return None
                since = self._since(clock.now() - sent_at)
                for build in builds:
                    if build.build_uuid not in self._started and _fits(build, since, branch, commit_hash):
                        return build
        lost.add(
            f"Whether it was started is unknown, no build of {_wanted(branch, commit_hash)} was found;"
            " look at the Worker's latest build before you start it again"
        )
        return None

    def _since(self, seconds: float) -> datetime:
        """The date `seconds` ago by the server's clock, which dates builds; the machine's may be wrong."""
        now = self._session.date or datetime.now(UTC) - CLOCKS_APART
        return now - timedelta(seconds=seconds)


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
    """Whether this may be the build that was asked for with a lost answer."""
    metadata = build.build_trigger_metadata
    if created(build) < since or metadata is None or metadata.build_trigger_source in _OTHERS:
        return False
    commit = (metadata.commit_hash or "").lower()
    return (not branch or branch == metadata.branch) and (not commit_hash or commit_hash.lower() == commit)


def _wanted(branch: str | None, commit_hash: str | None) -> str:
    named = {"branch": branch, "commit": commit_hash}
    return " and ".join(f"{name} {it}" for name, it in named.items() if it)
