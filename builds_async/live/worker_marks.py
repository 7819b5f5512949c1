"""The newest known build of each Worker, as of all changes and as of the delivered ones. No I/O."""

from collections.abc import Collection, Mapping
from typing import Literal

from msgspec.structs import replace

from builds_async.models.changes import WorkerMark


class WorkerMarks:
    """The marks of the Workers, by tag in lower case.

    A change is *taken* once the caller has it, and *in hand* until then. A stored position must not skip a
    change in hand. So each mark exists twice: as of all changes, and as of the taken ones.
    """

    def __init__(self, known: Mapping[str, WorkerMark | None]) -> None:
        self.found: dict[str, WorkerMark | None] = dict(known)
        """The marks as of all changes."""

        self._taken = dict(known)
        self._moved: dict[str, WorkerMark] = {}  # by the UUID of the build whose change is in hand

    def start(self, tag: str, mark: WorkerMark | None) -> None:
        """Set a mark that is not the result of a change, so it counts as taken."""
        self.found[tag] = self._taken[tag] = mark

    def move(self, tag: str, mark: WorkerMark, *, by: str) -> None:
        """Set the mark of a Worker. It counts as taken once the change of the build `by` is taken."""
        self.found[tag] = self._moved[by] = mark

    def forget(self, tag: str, builds: Collection[str]) -> None:
        """Forget a Worker, and the marks that wait for changes of these builds."""
        self.found.pop(tag, None)
        self._taken.pop(tag, None)
        for build_uuid in builds:
            self._moved.pop(build_uuid, None)

    def take(self, tag: str, build_uuid: str) -> None:
        """Note that the change that reports a build as new was taken."""
        if (mark := self._moved.pop(build_uuid, None)) is not None:
            self._taken[tag] = mark

    def stored(self, changed: Collection[str]) -> dict[str, WorkerMark | None]:
        """The marks to store. `changed` are the Workers that have changes in hand."""
        whole = {tag: mark for tag, mark in self.found.items() if tag not in changed}
        return whole | {tag: self._taken[tag] for tag in changed if tag in self._taken}

    def stored_of(self, tag: str, *, in_hand: bool) -> WorkerMark | Literal[False] | None:
        """The mark to store for one Worker; False if it has none. `in_hand`: it has changes in hand."""
        return (self._taken if in_hand else self.found).get(tag, False)

    def is_unlisted(self, tag: str) -> bool:
        """Whether a Worker's older running builds have yet to be listed."""
        return _older_may_run(self.found.get(tag))

    def is_listing(self, tag: str) -> bool:
        """Whether a position stored now would list a Worker's older running builds again."""
        return _older_may_run(self._taken.get(tag))

    def listed(self, tag: str, *, until: str | None) -> None:
        """Note that a Worker's older running builds were listed.

        `until` is the last of them whose change is in hand, or None. Until that change is taken, the mark to
        store still says that older builds may run.
        """
        mark = self.found.get(tag)
        if mark is None:
            return
        mark = replace(mark, older_may_run=False)
        if until is None:
            self.start(tag, mark)
        else:
            self.move(tag, mark, by=until)


def _older_may_run(mark: WorkerMark | None) -> bool:
    return mark is not None and mark.older_may_run
