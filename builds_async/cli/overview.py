"""Sorts and counts Workers by the state of their latest build."""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from builds_async import Build, BuildOutcome, BuildsError, BuildStatus
from builds_async.cli.filters import BuildFilters


class Standing(StrEnum):
    """The state of a Worker's latest build, in the order of the summary."""

    FAILED = "failed"
    RUNNING = "running"
    QUEUED = "queued"
    SUCCESSFUL = "successful"
    CANCELED = "canceled"
    SKIPPED = "skipped"
    NEVER_BUILT = "never built"
    NO_RESPONSE = "no response"
    NOT_KNOWN = "not known yet"


_RANKS: Final = {Standing.FAILED: 0, Standing.RUNNING: 1, Standing.QUEUED: 1}
_REST: Final = 2

_HARMLESS: Final[Mapping[BuildOutcome | None, Standing]] = {
    BuildOutcome.SUCCESS: Standing.SUCCESSFUL,
    BuildOutcome.CANCELLED: Standing.CANCELED,
    BuildOutcome.SKIPPED: Standing.SKIPPED,
}


class Row(NamedTuple):
    """A Worker and its latest build."""

    tag: str
    name: str
    standing: Standing
    build: Build | None = None


class Overview(NamedTuple):
    """The Workers that pass the filters: failures first, then running and queued builds, then the rest."""

    rows: Sequence[Row]
    total: int
    """The number of all Workers, including those that do not pass."""
    hidden: int = 0
    """How many Workers are left out because their build is not known yet; 0 without filters."""

    @property
    def summary(self) -> str:
        """How many Workers there are, and how many of them are in each state."""
        counts = Counter(row.standing for row in self.rows)
        shown = len(self.rows)
        of = f" of {self.total}" if shown != self.total else ""
        text = f"{shown}{of} Worker{'' if self.total == 1 else 's'}"
        words = [f"{counts[standing]} {standing}" for standing in Standing if counts[standing]]
        if words:
            text += f": {', '.join(words)}"
        return text if not self.hidden else f"{text}; {self.hidden} {Standing.NOT_KNOWN}"


def overview(
    names: Mapping[str, str],
    latest: Mapping[str, Build | None],
    failed: Mapping[str, BuildsError],
    filters: BuildFilters,
) -> Overview:
    """The overview of Workers, named by tag.

    `latest` has None for a Worker that was never built, and no entry while the build of a Worker is not known
    yet. A Worker whose lookup failed passes every filter, because its build may. One whose build is not known
    yet passes none.
    """
    rows = [_row(tag, name, latest, failed) for tag, name in names.items()]
    shown = [row for row in rows if row.standing is Standing.NO_RESPONSE or filters.match(row.build)]
    hidden = sum(row.standing is Standing.NOT_KNOWN for row in rows) if filters else 0
    return Overview(sorted(shown, key=_place), len(rows), hidden)


def standing_of(build: Build) -> Standing:
    """The state of a build."""
    if build.failed:
        return Standing.FAILED
    if build.is_finished:
        return _HARMLESS[build.build_outcome]
    return Standing.QUEUED if build.status == BuildStatus.QUEUED else Standing.RUNNING


def _row(tag: str, name: str, latest: Mapping[str, Build | None], failed: Mapping[str, BuildsError]) -> Row:
    build = latest.get(tag)
    if build is not None:
        return Row(tag, name, standing_of(build), build)
    if tag in latest:
        return Row(tag, name, Standing.NEVER_BUILT)
    return Row(tag, name, Standing.NO_RESPONSE if tag in failed else Standing.NOT_KNOWN)


def _place(row: Row) -> tuple[int, str]:
    return _RANKS.get(row.standing, _REST), row.name
