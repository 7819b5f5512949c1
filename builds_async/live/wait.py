"""Waiting for a build to finish, without its log."""

import re
from collections.abc import Callable, Iterable

from builds_async.errors import BuildsError
from builds_async.live.board import MAX_AGE
from builds_async.live.finish import EndDetector
from builds_async.live.pace import Pace
from builds_async.live.patience import Patience
from builds_async.live.sources import HistorySource, StateSource
from builds_async.models.builds import Build, BuildStatus, in_order
from builds_async.session.clock import Clock
from builds_async.session.numbers import seconds
from builds_async.session.redact import quoted

QUEUED_FACTOR = 3
"""The factor by which the interval is longer while a build is queued, which may take hours."""

_FIRST_PAGE, _LATER_PAGES = 200, 50


async def wait_for_build(
    source: StateSource, *, poll_interval: float, clock: Clock, patience: Patience
) -> Build:
    """Poll the state of a build until it has finished."""
    pace = _pace(clock, poll_interval)
    end_detector = EndDetector(clock)
    # Shorter than the interval. Otherwise a poll could get the same state as the poll before, and the next
    # poll, which is counted from that state, would be due at once.
    max_age = min(MAX_AGE, 0.9 * poll_interval)
    while True:
        await pace.turn(not_before=patience.due)
        try:
            seen = await source.state(max_age=max_age)
        except BuildsError as error:
            if not patience.outlasts(error):
                raise
            continue
        patience.succeeded()
        if end_detector.is_final(seen.build):
            return seen.build
        is_queued = seen.build.status == BuildStatus.QUEUED
        pace.next_after(seen.at, factor=QUEUED_FACTOR if is_queued else 1)


async def wait_for_commit(
    source: HistorySource,
    states: Callable[[str], StateSource],
    external_script_id: str,
    commit_hash: str,
    *,
    branch: str | None,
    finished: bool = True,
    poll_interval: float,
    clock: Clock,
    patience: Patience,
) -> Build:
    """Wait until there is a build of the commit, then, if `finished`, until the newest one has finished.

    `states` returns the source of a build's state, by the UUID of the build. Each build is waited for once,
    and never after a newer one. Otherwise copies of the list that lag could make this wait endless.
    """
    pace = _pace(clock, poll_interval)
    commit = checked_commit(commit_hash)
    newest: Build | None = None
    waited_for = set[str]()
    per_page = _FIRST_PAGE  # the first request goes far back; later ones need only the new builds
    while True:
        requested_at = await pace.turn(not_before=patience.due)
        try:
            page = await source.list(external_script_id, per_page=per_page)
        except BuildsError as error:
            if not patience.outlasts(error):
                raise
            continue
        patience.succeeded()
        per_page = _LATER_PAGES
        build = newest_of_commit(page, commit, branch)
        if newest is not None and (
            build is None or build.build_uuid in waited_for or in_order((build, newest))[-1] is newest
        ):
            return newest
        if build is None:
            pace.next_after(requested_at)
            continue
        if not finished:
            return build
        newest = await wait_for_build(
            states(build.build_uuid), poll_interval=poll_interval, clock=clock, patience=patience
        )
        waited_for.add(build.build_uuid)
        # The commit may have been built again meanwhile, so list once more at once. The full hash is known
        # now, so that another commit with the same beginning does not count.
        commit = _hash(build)


def checked_commit(commit_hash: str) -> str:
    """The hash of a commit, or its beginning, in lowercase. ValueError for any other text."""
    commit = commit_hash.lower()
    if not re.fullmatch("[0-9a-f]{4,40}", commit):
        raise ValueError(f"commit_hash must be 4 to 40 hex digits, not {quoted(commit_hash)}")
    return commit


def newest_of_commit(builds: Iterable[Build], commit: str, branch: str | None) -> Build | None:
    """The newest build of the commit whose hash begins with `commit`. ValueError for several commits.

    `builds` are in the order newest first, which decides if dates are missing or equal.
    """
    matching = [build for build in builds if _is_of(build, commit, branch)]
    hashes = sorted({_hash(build) for build in matching})
    if len(hashes) > 1:
        raise ValueError(
            f"commit_hash {commit!r} is the beginning of several commits, pass one: {', '.join(hashes)}"
        )
    return in_order(matching)[-1] if matching else None


def _is_of(build: Build, commit: str, branch: str | None) -> bool:
    metadata = build.build_trigger_metadata
    return _hash(build).startswith(commit) and (
        branch is None or (metadata is not None and metadata.branch == branch)
    )


def _hash(build: Build) -> str:
    """The commit hash of a build in lower case, `""` for a build without a commit."""
    metadata = build.build_trigger_metadata
    return ((metadata and metadata.commit_hash) or "").lower()


def _pace(clock: Clock, poll_interval: float) -> Pace:
    return Pace(clock, seconds("poll_interval", poll_interval, above_zero=True))
