"""One simulated build: its status, outcome and log at any moment of the clock. No I/O and no tasks."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable

from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.models.logs import LogLine
from builds_async.simulator.behavior import Behavior
from builds_async.simulator.build_details import BuildDetails, Moment
from builds_async.simulator.calendar import Calendar
from builds_async.simulator.records import Settings, Trigger

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class SimulatedBuild:
    """A build of a simulator. It plays a script, or its methods drive it, or both.

    Nothing runs in the background: whenever the build is read, here or over the API, it first plays its
    script up to the clock's `now()`. A method that changes it takes effect at `now()`.
    """

    def __init__(
        self,
        build_uuid: str,
        details: BuildDetails,
        *,
        trigger: Trigger,
        calendar: Calendar,
        behavior: Behavior,
        script: Iterable[Moment] = (),
        created: float | None = None,
    ) -> None:
        self.build_uuid: str = build_uuid
        """The UUID of the build."""
        self.details: BuildDetails = details
        """The properties that stay the same while the build runs."""
        self.trigger: Trigger = trigger
        """The trigger that started the build, as it is now."""
        self.settings: Settings = trigger.settings.copy()
        """A copy of the trigger's settings from when the build was added."""
        self.created: float = calendar.now() if created is None else created
        """When the build was queued, on the simulator's clock."""
        self._calendar = calendar
        self._behavior = behavior
        self._script = _last_first(script)
        self._status = BuildStatus.QUEUED
        self._outcome: BuildOutcome | None = None
        self._entered: dict[str, float] = {}
        # These are moments of the script, not of the reading: dates must not depend on when a build is read.
        self._decided = self._changed = self.created
        self._lines: list[LogLine] = []
        self._written: list[float] = []
        self.on_finish: Callable[[], None] | None = None
        """Called when a method finishes or cancels the build, but not when its script does."""

    def __repr__(self) -> str:
        return f"<SimulatedBuild {self.build_uuid} {self.status} {self.outcome} {len(self._lines)} lines>"

    @property
    def external_script_id(self) -> str:
        """The tag of the build's Worker."""
        return self.details.external_script_id or ""

    @property
    def version_id(self) -> str:
        """The Worker version that the build produces."""
        return self.details.version_id or ""

    @property
    def status(self) -> BuildStatus:
        """The current status of the build."""
        self._catch_up()
        return self._status

    @property
    def outcome(self) -> BuildOutcome | None:
        """The outcome of the build, even while `Behavior.late_outcome` hides it from the API."""
        self._catch_up()
        return self._outcome

    @property
    def lines(self) -> tuple[LogLine, ...]:
        """The whole log so far, with the API's timestamps, including lines that the API does not show yet."""
        self._catch_up()
        return tuple(self._lines)

    def play(self, script: Iterable[Moment]) -> None:
        """Play another script, whose seconds count from now, together with the rest of an earlier one."""
        now = self._catch_up() - self.created
        moments = [*reversed(self._script), *((now + seconds, what) for seconds, what in script)]
        self._script = _last_first(moments)

    def emit(self, *texts: str) -> None:
        """Write log lines. A queued build, which can't have a log, first starts to run."""
        now = self._catch_up()
        for text in texts:
            self._write(now, text)

    def set_status(self, status: BuildStatus) -> None:
        """Enter a status. Statuses may come in any order."""
        self._enter(self._catch_up(), status)

    def finish(self, outcome: BuildOutcome | None = BuildOutcome.SUCCESS) -> None:
        """Stop the build with an outcome and drop the rest of its script.

        With None, a later `finish` sets the outcome.
        """
        now = self._catch_up()
        self._script.clear()
        self._stop(now)
        if outcome is not None:
            self._decide(now, outcome)
        if self.on_finish is not None:
            self.on_finish()

    def cancel(self) -> bool:
        """Stop the build with the outcome `cancelled`. Returns False, without effect, if it has stopped."""
        if self.status == BuildStatus.STOPPED:
            return False
        self.finish(BuildOutcome.CANCELLED)
        return True

    def entered(self, status: BuildStatus) -> float | None:
        """When the build entered a status, on the simulator's clock; None if it has not."""
        self._catch_up()
        return self._entered.get(status)

    @property
    def begun(self) -> bool:
        """Whether the build has begun to initialize. A build that was canceled in the queue has not."""
        return self.entered(BuildStatus.INITIALIZING) is not None

    @property
    def changed(self) -> float:
        """The moment of the last visible change of status or outcome."""
        # The date must not reveal an outcome that the API hides: it changes when the outcome is shown.
        hidden = self.outcome is not None and self.visible_outcome is None
        return self._changed if hidden or self._outcome is None else max(self._changed, self._outcome_due)

    @property
    def visible_outcome(self) -> BuildOutcome | None:
        """The outcome that the API shows now."""
        now = self._catch_up()
        if self._behavior.late_outcome == "never" or self._outcome is None or now < self._outcome_due:
            return None
        return self._outcome

    @property
    def readable(self) -> int:
        """The number of log lines that the API shows now."""
        now = self._catch_up()
        late = self._behavior.late_lines
        # Lines are in the order in which they were written, so the visible ones come first.
        return bisect_right(self._written, now - late) if late else len(self._lines)

    def page(self, start: int, end: int) -> list[LogLine]:
        """The log lines from position `start` up to but not including `end`."""
        return self._lines[start:end]

    @property
    def _outcome_due(self) -> float:
        late = self._behavior.late_outcome
        return self._decided + (late if isinstance(late, int | float) else 0.0)

    def _catch_up(self) -> float:
        """Play the script up to now, and return now."""
        now = self._calendar.now()
        while self._script and self.created + self._script[-1][0] <= now:
            seconds, what = self._script.pop()
            self._happen(self.created + seconds, what)
        return now

    def _happen(self, moment: float, what: str | BuildStatus | BuildOutcome) -> None:
        if isinstance(what, BuildStatus):
            self._enter(moment, what)
        elif isinstance(what, BuildOutcome):
            self._stop(moment)
            self._decide(moment, what)
        else:
            self._write(moment, what)

    def _enter(self, moment: float, status: BuildStatus) -> None:
        self._status = status
        self._entered[status] = self._changed = moment
        if status == BuildStatus.RUNNING:
            # A script may skip a phase, but the API has a date for each.
            self._entered.setdefault(BuildStatus.INITIALIZING, moment)

    def _stop(self, moment: float) -> None:
        # The first stop counts: an outcome may come later.
        if self._status != BuildStatus.STOPPED:
            self._enter(moment, BuildStatus.STOPPED)

    def _decide(self, moment: float, outcome: BuildOutcome) -> None:
        self._outcome = outcome
        self._decided = self._changed = moment

    def _write(self, moment: float, text: str) -> None:
        if self._status == BuildStatus.QUEUED:  # a queued build has no log
            self._enter(moment, BuildStatus.RUNNING)
        if self._behavior.ansi_codes == "stripped":
            text = _ANSI.sub("", text)
        timestamp = self._calendar.milliseconds(moment)
        if self._behavior.timestamp_unit == "seconds":
            timestamp //= 1000
        self._lines.append(LogLine(timestamp, text))
        self._written.append(moment)


def _last_first(moments: Iterable[Moment]) -> list[Moment]:
    """Moments in reverse, so that the next one is popped from the end; equal times keep their order."""
    return sorted(moments, key=lambda moment: moment[0])[::-1]
