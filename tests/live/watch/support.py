"""Workers with scripted builds, as a source for a watch."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from builds_async import (
    AuthenticationError,
    BuildChange,
    BuildsError,
    NotFoundError,
    PermissionDeniedError,
)
from builds_async.live.watch import BuildWatcher
from builds_async.models.builds import Build, BuildOutcome, BuildStatus
from builds_async.models.envelope import Page
from builds_async.results import BulkResult
from tests.support import tags

T = TypeVar("T")
EPOCH = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
A, B, C = tags(3)
ORDER = ["queued", "initializing", "running", "stopped", "success", "fail", "cancelled"]
LIFE = [(0.0, "queued"), (5.0, "initializing"), (10.0, "running"), (40.0, "stopped"), (40.0, "success")]
QUICK = [(0.0, "queued"), (1.0, "stopped"), (1.0, "fail")]
ENDLESS = [(0.0, "running")]


class Over(Exception):  # noqa: N818  # not an error
    """The scripted time has ended."""


class Life(msgspec.Struct):
    """One build of a scripted world and the times of its states. With `created=None`, it has no date."""

    tag: str
    uuid: str
    begins: float
    states: list[tuple[float, str]]  # seconds from its start: a status or an outcome
    created: float | None = None
    gone: float = float("inf")

    def at(self, now: float) -> Build:
        words = [word for after, word in self.states if self.begins + after <= now]
        stopped = "stopped" in words
        outcome = words[-1] if words[-1] not in ORDER[:4] else None
        return Build(
            build_uuid=self.uuid,
            status=BuildStatus("stopped" if stopped else words[-1]),
            build_outcome=BuildOutcome(outcome) if outcome else None,
            created_on=None if self.created is None else EPOCH + timedelta(seconds=self.created),
        )


class World:
    """Workers and builds on a clock that moves by sleeping and by `latency` for each request.

    The world is a source for a watcher. `fails` maps the numbers of failing requests to their errors. A look
    requests `chunk` Workers at once, and fails for a chunk that has a `broken` Worker.
    """

    def __init__(self, *lives: Life, latency: float = 0.0, chunk: int = 20, until: float = 1e9) -> None:
        self.lives = list(lives)
        self.latency = latency
        self.chunk = chunk
        self.until = until
        self.time = 0.0
        self.naps: list[float] = []
        self.asked: list[str] = []
        self.fails: dict[int, BuildsError] = {}
        self.broken: dict[str, BuildsError] = {}
        self.first_seen: dict[str, float] = {}
        self.stale: Callable[[str, list[Life]], Life | None] | None = None

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.naps.append(seconds)
        self.time += max(0.0, seconds)
        if self.time > self.until:
            raise Over

    async def _arrive(self, what: str) -> None:
        await asyncio.sleep(0)
        self.asked.append(what)
        assert len(self.asked) < 5000, "it spins"
        self.time += self.latency
        if error := self.fails.get(len(self.asked)):
            raise error
        await asyncio.sleep(0)

    def of(self, tag: str) -> list[Life]:
        """The present builds of a Worker, newest first."""
        lives = [it for it in self.lives if it.tag == tag and it.begins <= self.time < it.gone]
        return sorted(lives, key=lambda it: it.begins)[::-1]

    async def latest(self, external_script_ids: Iterable[str]) -> BulkResult[Build]:
        ids = list(external_script_ids)
        found: dict[str, Build] = {}
        failed: dict[str, BuildsError] = {}
        for start in range(0, len(ids), self.chunk):
            part = ids[start : start + self.chunk]
            try:
                await self._arrive("latest")
                for tag in part:
                    if tag in self.broken:
                        raise self.broken[tag]
            except (AuthenticationError, PermissionDeniedError):
                raise
            except BuildsError as error:
                failed |= dict.fromkeys(part, error)
                continue
            for tag in part:
                self.first_seen.setdefault(tag, self.time)
                lives = self.of(tag)
                newest = self.stale(tag, lives) if self.stale else next(iter(lives), None)
                if newest is not None:
                    found[tag] = newest.at(self.time)
        missing = tuple(tag for tag in ids if tag not in found and tag not in failed)
        return BulkResult(found=found, missing=missing, failed=failed)

    async def get(self, build_uuid: str) -> Build:
        await self._arrive(build_uuid)
        for life in self.lives:
            if life.uuid == build_uuid and life.begins <= self.time < life.gone:
                return life.at(self.time)
        raise NotFoundError("no such build")

    async def list(self, external_script_id: str, *, page: int = 1, per_page: int = 50) -> Page[Build]:
        await self._arrive("list")
        shown = self.of(external_script_id)[(page - 1) * per_page : page * per_page]
        return Page(result=tuple(life.at(self.time) for life in shown))

    def watch(self, *ids: str) -> BuildWatcher:
        return BuildWatcher(self, ids or (A,), interval=15.0, clock=self)


def life(uuid: str, begins: float, states: list[tuple[float, str]] = LIFE, *, tag: str = A) -> Life:
    return Life(tag=tag, uuid=uuid, begins=begins, states=states, created=begins)


def word(build: Build) -> str:
    """The outcome of a build, or its status if it has none."""
    return str(build.build_outcome or build.status)


def short(change: BuildChange) -> str:
    """A change as a short text, with `+` for a new build."""
    return f"{'+' if change.is_new else ''}{change.build.build_uuid} {word(change.build)}"


async def everything(watcher: BuildWatcher) -> list[str]:
    """All changes until the scripted time has ended."""
    changes: list[str] = []
    try:
        async for change in watcher:
            changes.append(short(change))
    except Over:
        pass
    return changes
