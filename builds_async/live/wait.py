"""Waiting for a build to finish, without its log."""

import re
from collections.abc import Iterable
from typing import Protocol

from builds_async.live.ending import Ending
from builds_async.models.builds import Build, BuildStatus, in_order
from builds_async.models.envelope import Page
from builds_async.session.clock import Clock
from builds_async.session.redact import quoted

QUEUED_FACTOR = 3
"""How many times longer the pause is while a build is queued: with one slot, that may be for hours."""

_RECENT = 50


class BuildSource(Protocol):
    """What is asked for one build."""

    async def get(self, build_uuid: str) -> Build:
        """The build as it is now."""
        ...


class HistorySource(BuildSource, Protocol):
    """What is asked for the builds of a Worker."""

    async def list(self, external_script_id: str, *, page: int = 1, per_page: int = 50) -> Page[Build]:
        """One page of the Worker's builds, newest first."""
        ...


async def wait_for_build(
    source: BuildSource, build_uuid: str, *, poll_interval: float, clock: Clock
) -> Build:
    """Ask for the build until it has finished."""
    _check_interval(poll_interval)
    ending = Ending(clock)
    while True:
        asked_at = clock.now()
        build = await source.get(build_uuid)
        if ending.reached(build):
            return build
        factor = QUEUED_FACTOR if build.status == BuildStatus.QUEUED else 1
        await clock.sleep(asked_at + poll_interval * factor - clock.now())


async def wait_for_commit(
    source: HistorySource,
    external_script_id: str,
    commit_hash: str,
    *,
    branch: str | None,
    poll_interval: float,
    clock: Clock,
) -> Build:
    """Wait for a build of the commit to appear, then for the newest such build to finish."""
    _check_interval(poll_interval)
    commit = commit_hash.lower()
    if not re.fullmatch("[0-9a-f]{4,40}", commit):
        raise ValueError(f"a commit is given by its hash, 4 to 40 hex digits, not {quoted(commit_hash)}")
    finished: Build | None = None
    per_page = 200  # the first look goes far back; later ones look for what is new
    while True:
        asked_at = clock.now()
        page = await source.list(external_script_id, per_page=per_page)
        build = newest_of_commit(page, commit, branch)
        if finished is not None and (build is None or build.build_uuid == finished.build_uuid):
            return finished
        if build is None:
            await clock.sleep(asked_at + poll_interval - clock.now())
        else:
            # It may be built again meanwhile, so the list has the last word.
            finished = await wait_for_build(
                source, build.build_uuid, poll_interval=poll_interval, clock=clock
            )
            commit = _hash(build)
        per_page = _RECENT


def newest_of_commit(builds: Iterable[Build], commit: str, branch: str | None) -> Build | None:
    """The newest build of the commit that begins so; ValueError if several do.

    `builds` have the newest first, which counts for those without a date.
    """
    matching = [build for build in builds if _is_of(build, commit, branch)]
    hashes = sorted({_hash(build) for build in matching})
    if len(hashes) > 1:
        raise ValueError(f"{commit!r} is the beginning of several commits: {', '.join(hashes)}")
    return in_order(matching)[-1] if matching else None


def _is_of(build: Build, commit: str, branch: str | None) -> bool:
    metadata = build.build_trigger_metadata
    return _hash(build).startswith(commit) and (
        branch is None or (metadata is not None and metadata.branch == branch)
    )


def _hash(build: Build) -> str:
    """The commit of a build, `""` where it was started without one."""
    metadata = build.build_trigger_metadata
    return ((metadata and metadata.commit_hash) or "").lower()


def _check_interval(poll_interval: float) -> None:
    if not poll_interval > 0:
        raise ValueError(f"poll_interval is seconds above 0, not {poll_interval}")
