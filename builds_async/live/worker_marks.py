"""The newest build of each Worker: as found, and as of the changes that were taken. No I/O."""

from collections.abc import Collection, Mapping
from typing import Literal

from msgspec.structs import replace

from builds_async.models.changes import WorkerMark


class WorkerMarks:
    """The marks of the Workers, by tag in lower case.

    A change that was found and not taken must not be behind a stored position. So a mark counts as taken once
    the change that moved it was.
    """

    def __init__(self, known: Mapping[str, WorkerMark | None]) -> None:
        self.found: dict[str, WorkerMark | None] = dict(known)
        """The marks as of all changes that were found."""

        self._taken = dict(known)
        self._moved: dict[str, WorkerMark] = {}  # by UUID of each build whose change is not taken

    def start(self, tag: str, mark: WorkerMark | None) -> None:
        """Set the mark of a Worker that no change has led to."""
        self.found[tag] = self._taken[tag] = mark

    def move(self, tag: str, mark: WorkerMark, *, by: str) -> None:
        """Set the mark of a Worker. It counts as taken with the change of the build `by`."""
        self.found[tag] = self._moved[by] = mark

    def forget(self, tag: str, builds: Collection[str]) -> None:
        """Forget a Worker, and the marks of the changes of its `builds`."""
        self.found.pop(tag, None)
        self._taken.pop(tag, None)
        for build_uuid in builds:
            self._moved.pop(build_uuid, None)

    def take(self, tag: str, build_uuid: str) -> None:
        """The change that reports a build as new was taken."""
        if (mark := self._moved.pop(build_uuid, None)) is not None:
            self._taken[tag] = mark

    def stored(self, changed: Collection[str]) -> dict[str, WorkerMark | None]:
        """The marks as if the changes in hand, of the Workers `changed`, had not been found."""
        whole = {tag: mark for tag, mark in self.found.items() if tag not in changed}
        return whole | {tag: self._taken[tag] for tag in changed if tag in self._taken}

    def stored_of(self, tag: str, *, in_hand: bool) -> WorkerMark | Literal[False] | None:
        """The mark of one Worker as in `stored`; False if it has none. `in_hand`: it has changes in hand."""
        return (self._taken if in_hand else self.found).get(tag, False)

    def is_unlisted(self, tag: str) -> bool:
        """Whether a Worker's older running builds are still to be listed."""
        mark = self.found.get(tag)
        return mark is not None and mark.older_may_run

    def listed(self, tag: str, *, until: str | None) -> None:
        """A Worker's older running builds were listed, the last of them `until`; None if none is in hand.

        A stored mark keeps saying that older builds may run until the change of that build was taken.
        """
        mark = self.found.get(tag)
        if mark is None:
            return
        mark = replace(mark, older_may_run=False)
        if until is None:
            self.start(tag, mark)
        else:
            self.move(tag, mark, by=until)
