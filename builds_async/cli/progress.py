"""Shows the steps of one build around the lines of its log: a message at the end of each, or groups in CI."""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from builds_async import Build, LogLine
from builds_async.cli import github
from builds_async.cli.outcome import step_words
from builds_async.cli.terminal import stderr, stdout
from builds_async.cli.text import visible_text
from builds_async.models.steps import StepFinder


class Progress:
    """Reports the end of each step on standard error. In GitHub Actions, a step is a group of lines.

    As a context manager, it closes an open group if a timeout, a stop signal or an error ends the output
    before the build has ended. Otherwise the rest of the job's log would be part of the group.
    """

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._finder = StepFinder()
        self._grouped = github.in_actions()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and self._shown and self._grouped and self._finder.current is not None:
            github.command(stdout(), "endgroup")

    def parts(self, lines: Iterable[LogLine]) -> Iterator[list[LogLine]]:
        """The lines in pieces: between two of them a step has ended or begun, which is then written."""
        part: list[LogLine] = []
        for line in lines:
            before = self._finder.current
            self._finder.add((line,))
            now = self._finder.current
            if now == before or not self._shown:
                part.append(line)
                continue
            if now is None:  # the line is the last one of its step
                part.append(line)
            yield part
            part = [] if now is None else [line]
            if before is not None:
                self._ended(before)
            if now is not None and self._grouped:
                github.command(stdout(), "group", now)
        yield part

    def end(self, build: Build) -> None:
        """Write the end of the step in which the build has ended."""
        if self._shown and (current := self._finder.current) is not None:
            self._ended(current, build)

    def _ended(self, name: str, build: Build | None = None) -> None:
        if self._grouped:
            github.command(stdout(), "endgroup")
            return
        step = next(it for it in self._finder.steps(build) if it.name == name)
        stderr().write(f"-- {visible_text(f'{name} {step_words(step)}').rstrip()}\n")
