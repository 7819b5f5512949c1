"""One simulated build: its status, outcome and log at any moment of the clock. No I/O and no tasks."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias, TypedDict

import msgspec

from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.models.logs import LogLine
from builds_async.simulator.behaviour import Behaviour
from builds_async.simulator.identity import Calendar
from builds_async.simulator.records import Trigger

Moment: TypeAlias = tuple[float, str | BuildStatus | BuildOutcome]
"""Something that happens in a build: seconds after it was added, and a log line, a status or the outcome."""

_ANSI: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class BuildOptions(TypedDict, total=False):
    """What may be said about a build when it is added. `BuildDetails` has the meanings and the defaults."""

    external_script_id: str | None
    version_id: str | None
    branch: str
    commit_hash: str | None
    commit_message: str
    author: str
    source: str
    trigger_uuid: str | None
    build_command: str | None
    deploy_command: str | None
    environment_variables: Mapping[str, str | None] | None
    pull_request_url: str | None
    deploy_hook_name: str | None
    preview_url: str | None
    listed: bool


class BuildDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while a build runs."""

    external_script_id: str | None = None
    """The tag of its Worker, which must exist. None: a new Worker is added for this build."""
    version_id: str | None = None
    """The Worker version under which the build is found by version. None: a new one."""
    branch: str = "main"
    commit_hash: str | None = None
    """None: a new one. An empty text, as for builds started without a commit, is kept."""
    commit_message: str = "Update the Worker"
    author: str = "octocat"
    source: str = "push_event"
    trigger_uuid: str | None = None
    """The trigger that started it. None: the one of its Worker that builds the branch."""
    build_command: str | None = None
    """None: the trigger's, as it is when the build is added; so for the next two."""
    deploy_command: str | None = None
    environment_variables: Mapping[str, str | None] | None = None
    """Values by name; None is a secret."""
    pull_request_url: str | None = None
    deploy_hook_name: str | None = None
    preview_url: str | None = None
    """Shown by the single look-up once the build has succeeded. None: one is made up."""
    listed: bool = True
    """False: it can be looked up by its UUID only, as has been seen of builds of pull requests."""


class SimulatedBuild:
    """A build of a simulator. It plays its script, or is driven by hand, or both.

    Nothing runs in the background: whoever looks, over the API or here, sees what has happened until the
    clock's `now()`. What is done by hand happens at `now()`.
    """

    def __init__(
        self,
        build_uuid: str,
        details: BuildDetails,
        *,
        trigger: Trigger,
        calendar: Calendar,
        behaviour: Behaviour,
        script: Iterable[Moment] = (),
        created: float | None = None,
    ) -> None:
        self.build_uuid = build_uuid
        self.details = details
        self.trigger: Final = trigger
        """What started it, as it is now."""
        self.settings: Final = trigger.settings.copy()
        """The trigger's settings of the moment at which it was added."""
        self.created = calendar.now() if created is None else created
        self._calendar = calendar
        self._behaviour = behaviour
        self._script = sorted(script, key=lambda moment: moment[0])[::-1]
        self._status = BuildStatus.QUEUED
        self._outcome: BuildOutcome | None = None
        self._entered: dict[str, float] = {}
        self._decided = self._changed = self.created
        self._lines: list[LogLine] = []
        self._written: list[float] = []
        self.on_finish: Callable[[], None] | None = None
        """Called when the build is finished or cancelled other than by its script."""

    def __repr__(self) -> str:
        return f"<SimulatedBuild {self.build_uuid} {self.status} {self.outcome} {len(self._lines)} lines>"

    @property
    def external_script_id(self) -> str:
        """The tag of its Worker."""
        return self.details.external_script_id or ""

    @property
    def version_id(self) -> str:
        """The Worker version that it makes."""
        return self.details.version_id or ""

    @property
    def status(self) -> BuildStatus:
        """Where it is now."""
        self._catch_up()
        return self._status

    @property
    def outcome(self) -> BuildOutcome | None:
        """How it ended, also while `Behaviour.late_outcome` still hides that from the API."""
        self._catch_up()
        return self._outcome

    @property
    def lines(self) -> tuple[LogLine, ...]:
        """The true log so far, timestamps as the API gives them; also lines that it does not give yet."""
        self._catch_up()
        return tuple(self._lines)

    def play(self, script: Iterable[Moment]) -> None:
        """Play a script whose seconds count from now, beside what is left of an earlier one."""
        now = self._catch_up() - self.created
        moments = [*reversed(self._script), *((now + seconds, what) for seconds, what in script)]
        self._script = sorted(moments, key=lambda moment: moment[0])[::-1]

    def emit(self, *texts: str) -> None:
        """Write log lines. A queued build begins to run by that, for a queued one has no log."""
        now = self._catch_up()
        for text in texts:
            self._write(now, text)

    def set_status(self, status: BuildStatus) -> None:
        """Go to a status, in whatever order."""
        self._enter(self._catch_up(), status)

    def finish(self, outcome: BuildOutcome | None = BuildOutcome.SUCCESS) -> None:
        """Stop with an outcome, or None for one that comes later by another `finish`. Ends the script."""
        now = self._catch_up()
        self._script.clear()
        self._stop(now)
        if outcome is not None:
            self._decide(now, outcome)
        if self.on_finish is not None:
            self.on_finish()

    def cancel(self) -> bool:
        """Stop with the outcome `cancelled`; False, and no effect, if it has stopped before."""
        if self.status == BuildStatus.STOPPED:
            return False
        self.finish(BuildOutcome.CANCELLED)
        return True

    def entered(self, status: BuildStatus) -> float | None:
        """The moment of the clock at which it came to a status, None if it has not."""
        self._catch_up()
        return self._entered.get(status)

    @property
    def begun(self) -> bool:
        """False while it is queued, and for ever if it stopped there."""
        return self.entered(BuildStatus.INITIALIZING) is not None

    @property
    def changed(self) -> float:
        """The moment of the last visible change of status or outcome."""
        hidden = self.outcome is not None and self.visible_outcome is None
        return self._changed if hidden or self._outcome is None else max(self._changed, self._outcome_due)

    @property
    def visible_outcome(self) -> BuildOutcome | None:
        """The outcome as the API tells it now."""
        now = self._catch_up()
        if self._behaviour.late_outcome == "never" or self._outcome is None or now < self._outcome_due:
            return None
        return self._outcome

    @property
    def readable(self) -> int:
        """How many lines of the log the API gives now."""
        now = self._catch_up()
        late = self._behaviour.late_lines
        return bisect_right(self._written, now - late) if late else len(self._lines)

    def page(self, start: int, end: int) -> list[LogLine]:
        """Lines by their position in the log."""
        return self._lines[start:end]

    @property
    def _outcome_due(self) -> float:
        late = self._behaviour.late_outcome
        return self._decided + (late if isinstance(late, int | float) else 0.0)

    def _catch_up(self) -> float:
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
            self._entered.setdefault(BuildStatus.INITIALIZING, moment)

    def _stop(self, moment: float) -> None:
        if self._status != BuildStatus.STOPPED:
            self._enter(moment, BuildStatus.STOPPED)

    def _decide(self, moment: float, outcome: BuildOutcome) -> None:
        self._outcome = outcome
        self._decided = self._changed = moment

    def _write(self, moment: float, text: str) -> None:
        if self._status == BuildStatus.QUEUED:
            self._enter(moment, BuildStatus.RUNNING)
        if self._behaviour.ansi_codes == "stripped":
            text = _ANSI.sub("", text)
        timestamp = self._calendar.milliseconds(moment)
        if self._behaviour.timestamp_unit == "seconds":
            timestamp //= 1000
        self._lines.append(LogLine(timestamp, text))
        self._written.append(moment)
