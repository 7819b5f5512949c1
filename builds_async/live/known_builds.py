"""The builds of many Workers as far as they are known, and their changes, without I/O."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Literal

from builds_async.errors import BuildsError, ResponseDecodeError
from builds_async.live import marks
from builds_async.live.history import History, moved_on
from builds_async.live.worker_marks import WorkerMarks
from builds_async.models.builds import Build, created
from builds_async.models.changes import BuildChange, WorkerMark
from builds_async.session.clock import Clock
from builds_async.session.ids import is_id, normalized_id


class KnownBuilds:
    """Turns the builds that responses and events show into changes.

    Every change found goes into `changes` at once: a canceled or failed request loses nothing. A build is
    never reported twice in one state, nor in an earlier state after a later one, even if a response comes
    from a copy that lags.

    The order of a Worker's list, newest build first, and the dates decide which builds are new. A build
    without a date, or with an absurd one, is new if it is listed before the newest build seen. If that one is
    no longer listed, a build without a date counts as new if it is listed before all older ones: repeating a
    build does less harm than missing one.

    Internally, tags are in lower case, as in `marks` and `ids`. In `failures` and `changes` they are written
    as the caller wrote them.
    """

    def __init__(
        self,
        external_script_ids: Iterable[str],
        clock: Clock,
        known: Mapping[str, WorkerMark | None] | None = None,
    ) -> None:
        self._spelled: dict[str, str] = {}
        for tag in external_script_ids:
            self._spelled.setdefault(normalized_id(tag), tag)

        self.changes: deque[BuildChange] = deque()
        """The changes that were found and not taken yet."""

        self.failures: dict[str, BuildsError] = {}
        """The error of each Worker whose last lookup failed; the next one finds what it missed."""

        self.present: set[str] = set()
        """The builds that existed already at the first lookup of their Worker."""

        usable = {normalized_id(tag): marks.usable(mark) for tag, mark in (known or {}).items()}
        self.unfinished: dict[str, Build | None] = {}
        """The Workers that need a follow-up, in the order of their lookups, each with its latest build."""

        self._marks = WorkerMarks({tag: mark for tag, mark in usable.items() if tag in self._spelled})
        self._clock = clock
        self._histories: dict[str, History] = {}
        self._looked_up: set[str] = set()
        self._heard: dict[str, dict[str, Build]] = {}  # builds that events named before the first lookup
        # Builds after the mark of their Worker that an event has named and no list has confirmed.
        self._unconfirmed: dict[str, dict[str, Build]] = {}

    @property
    def marks(self) -> Mapping[str, WorkerMark | None]:
        """Where a later tracker continues; None for a Worker that was looked up and had no build.

        While a Worker's older running builds are not listed yet, its mark says that they may exist.
        """
        return self._marks.found

    @property
    def ids(self) -> tuple[str, ...]:
        """The Workers."""
        return tuple(self._spelled)

    def __len__(self) -> int:
        return len(self._spelled)

    def __contains__(self, tag: str) -> bool:
        return tag in self._spelled

    def add(self, external_script_id: str, known: Mapping[str, WorkerMark | None] | None = None) -> bool:
        """Track another Worker, from its mark among `known` if it is there. Returns whether it is new."""
        tag = normalized_id(external_script_id)
        if tag in self._spelled:
            return False
        self._spelled[tag] = external_script_id
        for written, mark in (known or {}).items():
            if normalized_id(written) == tag:
                self._marks.start(tag, marks.usable(mark))
        return True

    def add_new(self, external_script_id: str) -> bool:
        """Track a Worker that did not exist before: all of its builds are new, even the finished ones."""
        tag = normalized_id(external_script_id)
        is_new = self.add(external_script_id)
        if is_new:
            self._marks.start(tag, None)
        return is_new

    def remove(self, tag: str) -> None:
        """Forget a Worker, and drop its changes that were not taken."""
        spelled = self._spelled.pop(tag, tag)
        for forgotten in (self.unfinished, self._histories, self._heard, self._unconfirmed):
            forgotten.pop(tag, None)
        self.failures.pop(spelled, None)
        self._looked_up.discard(tag)
        dropped = [it for it in self.changes if normalized_id(it.external_script_id) == tag]
        self._marks.forget(tag, [change.build.build_uuid for change in dropped])
        self.changes = deque(it for it in self.changes if normalized_id(it.external_script_id) != tag)

    def take(self) -> BuildChange:
        """The next of the `changes`."""
        change = self.changes.popleft()
        if change.is_new:
            self._marks.take(normalized_id(change.external_script_id), change.build.build_uuid)
        return change

    @property
    def taken_marks(self) -> dict[str, WorkerMark | None]:
        """The marks after the last change taken, as if the remaining `changes` had not been found."""
        return self._marks.stored({normalized_id(change.external_script_id) for change in self.changes})

    def taken_mark(self, tag: str) -> WorkerMark | Literal[False] | None:
        """The mark of one Worker as in `taken_marks`; False if it has none."""
        in_hand = any(normalized_id(change.external_script_id) == tag for change in self.changes)
        return self._marks.stored_of(tag, in_hand=in_hand)

    def is_listing(self, tag: str) -> bool:
        """Whether a watch that starts at the taken changes lists a Worker's older running builds again."""
        return self._marks.is_listing(tag)

    def spelling(self, tag: str) -> str:
        """The tag of a Worker as the caller wrote it."""
        return self._spelled.get(tag, tag)

    def tracks(self, tag: str, build_uuid: str) -> bool:
        """Whether lookups keep the state of this build up to date."""
        if self.arrived(tag, build_uuid) is not None:
            return True
        history = self._histories.get(tag)
        return history is not None and history.builds.get(build_uuid) is not None

    def arrived(self, tag: str, build_uuid: str | None = None) -> Build | None:
        """A Worker's latest build, if a lookup has shown it and no change has reported it yet.

        It is certainly new. But others may have begun before it, and the follow-up has to report them first.
        """
        build = self.unfinished.get(tag)
        if build is None or build_uuid not in {None, build.build_uuid} or not self._is_new(tag, build):
            return None
        return build if marks.is_at_or_after(build, self.marks.get(tag)) else None

    def hides_work(self, tag: str) -> bool:
        """Whether a log depends on the follow-up of a Worker.

        It does if an older build may still run, and if dates can't tell whether the latest build is new.
        """
        latest = self.unfinished.get(tag)
        if latest is not None and self._is_new(tag, latest) and self.arrived(tag) is None:
            return True
        history = self._histories.get(tag)
        return history is not None and tag in self.unfinished and hides(history, latest)

    def latest(self, tag: str) -> Build | None:
        """The newest build of a Worker, as last seen."""
        history = self._histories.get(tag)
        return self.arrived(tag) or (None if history is None else history.newest)

    def restore(self, builds: Mapping[str, Iterable[Build]], *, only: str | None = None) -> None:
        """Take over, by Worker, the open builds that an earlier tracker had reported, and the marked ones."""
        for tag in self.marks if only is None else {only} & self.marks.keys():
            mark = self.marks[tag]
            history = self._history(tag)
            for build in builds.get(tag, ()):
                history.add(build, newest=marks.is_marked(build, mark))
            if mark is not None:
                history.builds.setdefault(mark.build_uuid, None)

    def is_settled(self, tag: str) -> bool:
        """Whether a Worker's mark covers all of its builds that this or an earlier tracker has seen."""
        return tag in self._looked_up and tag not in self.unfinished and tag not in self._unconfirmed

    def hear(self, tag: str, build: Build) -> None:
        """Take the state of one build of a Worker, which an event has named.

        The mark does not move: events of earlier builds may be late or lost. After the next lookup the list
        confirms the build and moves the mark.
        """
        if tag not in self.marks:
            # The first lookup will show this build, or a newer one that hides it; see `_first_lookup`.
            self._heard.setdefault(tag, {})[build.build_uuid] = build
            return
        history = self._history(tag)
        if not self._is_new(tag, build):
            self._note(history, build)
        elif marks.is_at_or_after(build, self.marks[tag]):  # else its event was delivered long ago
            self._hear(history, build)

    def _hear(self, history: History, build: Build) -> None:
        if is_id(build.build_uuid) and self._is_new(history.tag, build):
            newest = history.newest
            self._report(history, newest, build)
            history.add(build, newest=newest is None or created(build) >= created(newest))
            self._unconfirmed.setdefault(history.tag, {})[build.build_uuid] = build

    def is_open(self, tag: str, build_uuid: str) -> bool:
        """Whether a build that was reported may still change."""
        history = self._histories.get(tag)
        return history is not None and build_uuid in history.open

    def _is_new(self, tag: str, build: Build) -> bool:
        history = self._histories.get(tag)
        is_known = history is not None and build.build_uuid in history.builds
        return not is_known and not marks.is_marked(build, self.marks.get(tag))

    def _first_lookup(self, tag: str, latest: Build | None) -> None:
        """Note the latest build of a Worker as it is at the beginning. The builds that it hides are old."""
        heard = self._heard.pop(tag, {})
        if latest is None:
            self._marks.start(tag, None)
        else:
            if latest.build_uuid not in heard:  # else its event came before, so it is new
                self.present.add(latest.build_uuid)
            self._note(self._history(tag), latest)
            if not latest.is_stopped and self.marks.get(tag) is not None:
                self._marks.move(tag, marks.mark_of(latest, older_may_run=True), by=latest.build_uuid)
        for build in heard.values():
            self._hear(self._history(tag), build)

    def _history(self, tag: str) -> History:
        return self._histories.setdefault(tag, History(tag, self._clock))

    def _confirm(self, tag: str) -> None:
        """Drop the unconfirmed builds of a Worker that its mark covers by now.

        The others were named by an event after the lookup that found the latest build. As long as they are
        unconfirmed the Worker is not settled, and a position says which of their ends were delivered.
        """
        mark, heard = self.marks.get(tag), self._unconfirmed.pop(tag)
        left = {
            uuid: build
            for uuid, build in heard.items()
            if marks.is_at_or_after(build, mark) and not marks.is_marked(build, mark)
        }
        if left:
            self._unconfirmed[tag] = left

    def _note_older(self, history: History, oldest_first: Iterable[Build]) -> None:
        """Note the listed builds that ran when the marked one was first seen, if that was not done before.

        For an earlier tracker's mark these are also builds that have stopped since.
        """
        mark = self.marks.get(history.tag)
        if self._histories.get(history.tag) is not history or mark is None or not mark.older_may_run:
            return
        is_own = mark.build_uuid in self.present
        last = mark.build_uuid
        for build in oldest_first:
            if not build.is_stopped or (not is_own and marks.may_have_stopped_since(build, mark)):
                is_new = build.build_uuid not in history.builds
                self._note(history, build, newest=marks.is_marked(build, mark))
                last = build.build_uuid if is_new else last
        in_hand = any(change.build.build_uuid == last and change.is_new for change in self.changes)
        self._marks.listed(history.tag, until=last if in_hand else None)

    def _note(self, history: History, build: Build, *, newest: bool | None = None) -> None:
        """Report the build, if it is new or has moved on. If `newest` is None, its date decides."""
        if self._histories.get(history.tag) is not history:
            return  # the Worker was removed during the request, and may have been added again
        if error := unusable({history.tag: build}):
            self.failures[self.spelling(history.tag)] = error[history.tag]
        elif build.build_uuid in history.builds:
            known = history.builds[build.build_uuid]
            if known is not None:
                if moved_on(known, build):
                    self._report(history, known, build)
                history.update(build)
        else:
            self._report(history, history.newest, build)
            if newest is None:
                newest = marks.may_be_marked(build, self.marks.get(history.tag))
            history.add(build, newest=newest)
            if newest:
                before = self.marks.get(history.tag)
                older_may_run = before is not None and before.older_may_run and marks.is_marked(build, before)
                mark = marks.mark_of(build, older_may_run=older_may_run)
                self._marks.move(history.tag, mark, by=build.build_uuid)

    def _report(self, history: History, previous: Build | None, build: Build) -> None:
        tag = self.spelling(history.tag)
        self.changes.append(BuildChange(external_script_id=tag, previous=previous, build=build))


def hides(history: History, latest: Build | None) -> bool:
    """Whether a Worker has open builds besides its latest one."""
    return any(latest is None or build_uuid != latest.build_uuid for build_uuid in history.open)


def unusable(builds: Mapping[str, Build]) -> dict[str, BuildsError]:
    """The Workers whose build has a UUID that no request can name, each with an error that says so."""
    return {
        tag: ResponseDecodeError(f"{build.build_uuid!r} can't be the UUID of a build, which is left out")
        for tag, build in builds.items()
        if not is_id(build.build_uuid)
    }
