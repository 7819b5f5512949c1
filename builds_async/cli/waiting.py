"""Shows what a build is doing while its log has no line yet, so that the screen is not blank."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from builds_async import Build, LogFollower
from builds_async.cli.facts import DIGITS
from builds_async.cli.story import commit_line
from builds_async.cli.terminal import Spinner, stderr
from builds_async.cli.text import visible_text

_REFRESH_SECONDS = 0.2


class Waiting:
    """On a terminal: the state of a build and the elapsed time, until `end`; then a heading for its log."""

    def __init__(self, log: LogFollower) -> None:
        self._log = log
        self._screen = stderr()
        self._spinner: Spinner | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._screen.is_tty:
            self._spinner = Spinner(self._screen, "looking up the build")
            self._spinner.__enter__()
            self._task = asyncio.ensure_future(self._refresh())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(heading=False)
        if self._task is not None:
            await asyncio.wait((self._task,))

    def end(self, *, heading: bool = True) -> None:
        """Erase the state. Only the first call has an effect."""
        if self._spinner is None or self._task is None:
            return
        self._task.cancel()
        self._spinner.__exit__(None, None, None)
        self._spinner = None
        build = self._build
        if heading and build is not None:
            self._screen.write(f"build {visible_text(build.build_uuid)}: {commit_line(build)}\n")

    async def _refresh(self) -> None:
        while self._spinner is not None:
            if (build := self._build) is not None:
                words = (f"build {build.build_uuid[:DIGITS]}", build.state, commit_line(build))
                self._spinner.update(" ".join(filter(None, words)))
            await asyncio.sleep(_REFRESH_SECONDS)

    @property
    def _build(self) -> Build | None:
        with suppress(RuntimeError):  # not known before the first response
            return self._log.build
        return None
