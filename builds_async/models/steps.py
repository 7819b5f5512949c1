"""Finds the steps of a build in its log. No I/O.

The service writes a line when it begins a step. The log's `events` have the exact times of the first step. A
build can print the same lines, so no decision may depend on a step.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from builds_async.models.builds import Build, BuildOutcome, usable_date
from builds_async.models.logs import LogEvent, LogLine
from builds_async.models.text import SEQUENCES

_LONGEST: Final = 200
"""How many characters of a line are searched, so that a hostile line costs no time."""

_ORDER: Final = ("initialize", "clone", "install", "build", "deploy")
_MARK = r"""(?x)\s*(?:
    (?P<initialize>Initializing\ build\ environment)
    | (?P<initialized>Success:\ Finished\ initializing\ build\ environment)
    | (?P<clone>Cloning\ repository)
    | (?P<install>Restoring\ from\ |Detected\ the\ following\ tools\ |Installing\ project\ dependencies:)
    | (?P<build>Executing\ user\ build\ command:)
    | (?P<built>Success:\ Build\ command\ completed)
    | (?P<deploy>Executing\ user\ (?:[\w-]+\ )?deploy\ command:)
    | (?P<deployed>Success:\ Deploy\ command\ completed)
    | (?P<done>✨\ Success!\ Build\ completed)
    | (?P<failed>Failed:\ error\ occurred\ while\ )
    )"""
_ENDS: Final = {"initialized": "initialize", "built": "build", "deployed": "deploy"}


class BuildStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a build, as its log shows it. Only for display: a build can print the service's lines."""

    name: str
    """`initialize`, `clone`, `install`, `build` or `deploy`."""
    started_on: datetime | None = None
    """When the step began; None if the log has no usable time."""
    ended_on: datetime | None = None
    """When the step ended, or the next one began; None before that."""
    outcome: BuildOutcome | None = None
    """How the step ended; None while it runs. The last step of a build has the outcome of the build."""

    @property
    def duration(self) -> float | None:
        """The seconds from start to end; None if one is unknown, or if they are in the wrong order."""
        if self.started_on is None or self.ended_on is None or self.ended_on < self.started_on:
            return None
        return (self.ended_on - self.started_on).total_seconds()


class StepFinder:
    """The steps that a log has shown so far.

    Each step begins at most once, and never before an earlier step. So there are at most five, whatever a log
    contains, and adding the same lines twice changes nothing.
    """

    def __init__(self) -> None:
        self._steps: list[BuildStep] = []
        self._event: LogEvent | None = None
        self._last: datetime | None = None

    @property
    def current(self) -> str | None:
        """The name of the step that runs; None before the first step and between two steps."""
        return self._steps[-1].name if self._steps and self._steps[-1].outcome is None else None

    def see(self, events: Iterable[LogEvent] | None) -> None:
        """Add the events of a page."""
        for event in events or ():
            if event.type == "initializing":
                self._event = event

    def add(self, lines: Iterable[LogLine]) -> None:
        """Add lines of the log, in order."""
        for line in lines:
            self._last = usable_date(line.time) or self._last
            text = line.message[:_LONGEST]
            if "\x1b" in text:
                text = re.sub(SEQUENCES, "", text)
            if (mark := re.match(_MARK, text)) is not None:
                self._take(mark.lastgroup or "", usable_date(line.time))

    def steps(self, build: Build | None = None) -> tuple[BuildStep, ...]:
        """The steps in order. Once `build` has finished, the last step ends when the build does."""
        steps = self._with_event()
        if steps and build is not None and build.is_finished and steps[-1].outcome is None:
            end = usable_date(build.stopped_on) or self._last
            steps[-1] = msgspec.structs.replace(steps[-1], ended_on=end, outcome=build.build_outcome)
        return tuple(steps)

    def _take(self, mark: str, time: datetime | None) -> None:
        if mark in _ORDER:
            if self._steps and _ORDER.index(mark) <= _ORDER.index(self._steps[-1].name):
                return
            # A later step begins only if the last one succeeded, whatever that printed.
            if self._steps and self._steps[-1].outcome != BuildOutcome.SUCCESS:
                self._end(time, BuildOutcome.SUCCESS)
            self._steps.append(BuildStep(name=mark, started_on=time))
        elif self.current is not None and _ENDS.get(mark, self.current) == self.current:
            self._end(time, BuildOutcome.FAIL if mark == "failed" else BuildOutcome.SUCCESS)

    def _end(self, time: datetime | None, outcome: BuildOutcome) -> None:
        self._steps[-1] = msgspec.structs.replace(self._steps[-1], ended_on=time, outcome=outcome)

    def _with_event(self) -> list[BuildStep]:
        """The steps. The first one has the exact times of its event, if the log has it."""
        event = self._event
        if event is None or (started_on := usable_date(event.started_on)) is None:
            return list(self._steps)
        ended_on = usable_date(event.ended_on)
        first = next((it for it in self._steps if it.name == "initialize"), None)
        others = [it for it in self._steps if it.name != "initialize"]
        outcome = first.outcome if first is not None else None
        if outcome is None and (ended_on is not None or others):
            outcome = BuildOutcome.SUCCESS
        ended_on = ended_on or (first.ended_on if first is not None else None)
        return [
            BuildStep(name="initialize", started_on=started_on, ended_on=ended_on, outcome=outcome),
            *others,
        ]
