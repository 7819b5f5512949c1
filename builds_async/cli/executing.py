"""Runs the command of `--exec` for each finished build.

There is no shell, and the words of the command are fixed before any build is seen. Data of a build or the API
is passed in environment variables and as JSON on standard input, never on a command line.
"""

import asyncio
import os
import shlex
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, NamedTuple, Self, cast

import msgspec

from builds_async import Build, BuildOutcome, BuildsClient
from builds_async.cli.exits import CommandError
from builds_async.cli.facts import DIGITS, build_facts
from builds_async.cli.links import page_of
from builds_async.cli.options import EXEC_OPTIONS, ExecOptions
from builds_async.cli.outcome import find_reason
from builds_async.cli.printer import json_line
from builds_async.cli.terminal import stderr
from builds_async.cli.text import visible_text
from builds_async.cli.times import format_duration, parse_seconds

VARIABLES: Final = {
    "BUILDS_ASYNC_BUILD": "build_uuid",
    "BUILDS_ASYNC_WORKER": "worker",
    "BUILDS_ASYNC_OUTCOME": "outcome",
    "BUILDS_ASYNC_REASON": "reason",
    "BUILDS_ASYNC_BRANCH": "branch",
    "BUILDS_ASYNC_COMMIT": "commit_hash",
    "BUILDS_ASYNC_MESSAGE": "message",
    "BUILDS_ASYNC_AUTHOR": "author",
    "BUILDS_ASYNC_DURATION": "duration",
    "BUILDS_ASYNC_URL": "dashboard_url",
}
"""The environment variables of a command, each with the name of its fact."""

MAX_WAITING: Final = 100
"""How many builds may wait for their command before nothing more is read."""

_MAX_VALUE: Final = 8000
"""The maximum length of a variable, in characters: the system starts no process with a huge environment."""

_OPERATORS: Final = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "<"})

_FINISH_SECONDS = 2.0
_TERMINATE_SECONDS = 2.0


class Finished(NamedTuple):
    """A build that has ended."""

    build: Build
    worker: str | None = None
    """The name of its Worker."""
    reason: str | None = None
    """The reason for a failure, if it is known already. Otherwise it is searched for in the log."""


class Commands:
    """Runs a command for each build that is added, at most `jobs` at the same time, in the order of adding.

    The output of a command goes to standard error. A command that fails, that can't be started or that takes
    too long is reported in one line, and counts as run. On leaving the context, commands that have not begun
    are dropped. The others get two seconds to finish, then two more after SIGTERM, and then are killed. The
    builds of dropped and stopped commands stay in `pending`.
    """

    def __init__(self, client: BuildsClient, words: Sequence[str], *, jobs: int, seconds: float) -> None:
        self._client = client
        self._words = words
        self._slots = asyncio.Semaphore(jobs)
        self._seconds = seconds
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._begun: set[asyncio.Task[None]] = set()
        self.pending: set[str] = set()
        """The UUIDs of the builds whose command has not ended."""

    @classmethod
    def of(cls, client: BuildsClient, options: ExecOptions) -> Self | None:
        """The commands for these options; None without `--exec`. CommandError if there is no such program."""
        if options.command is None:
            if options != EXEC_OPTIONS:
                raise CommandError("--exec-jobs and --exec-timeout go with --exec")
            return None
        seconds = parse_seconds("--exec-timeout", options.timeout)
        return cls(client, _words(options.command), jobs=options.jobs, seconds=seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            if task not in self._begun:
                task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=_FINISH_SECONDS)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def add(self, finished: Finished) -> None:
        """Run the command for a build as soon as its turn comes."""
        uuid = finished.build.build_uuid
        self.pending.add(uuid)
        task = asyncio.ensure_future(self._run(finished))
        self._tasks[task] = uuid
        task.add_done_callback(self._ended)

    async def room(self) -> None:
        """Wait while too many builds wait for their command."""
        while len(self._tasks) >= MAX_WAITING:
            await asyncio.wait(tuple(self._tasks), return_when=asyncio.FIRST_COMPLETED)

    async def drain(self) -> None:
        """Wait until the command of each build that was added has ended."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _ended(self, task: asyncio.Task[None]) -> None:
        uuid = self._tasks.pop(task)
        self._begun.discard(task)
        if not task.cancelled():
            self.pending.discard(uuid)

    async def _run(self, finished: Finished) -> None:
        async with self._slots:
            self._begun.add(cast("asyncio.Task[None]", asyncio.current_task()))  # never None in a task
            reason = finished.reason
            if reason is None and finished.build.build_outcome == BuildOutcome.FAIL:
                reason = await find_reason(self._client, finished.build)
            variables, data = _described(self._client, finished._replace(reason=reason))
            try:
                problem = await self._executed({**os.environ, **variables}, data)
            except OSError as error:
                problem = f"can't be started: {error.strerror}"
        if problem is not None:
            text = f"--exec: {self._words[0]} {problem}, for build {finished.build.build_uuid[:DIGITS]}"
            stderr().write(f"builds-async: {visible_text(text)}\n")

    async def _executed(self, environ: Mapping[str, str], data: bytes) -> str | None:
        """Run the command; return the problem, or None."""
        process = await asyncio.create_subprocess_exec(
            *self._words,
            env=environ,
            stdin=asyncio.subprocess.PIPE,
            stdout=2,
            # A group of its own: Ctrl-C on the terminal does not reach it, and its children end with it.
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._seconds):
                await process.communicate(data)
        except TimeoutError:
            await _end(process)
            return f"was stopped after {format_duration(self._seconds)}"
        except asyncio.CancelledError:
            await _end(process)
            raise
        code = process.returncode or 0
        return None if code == 0 else f"was ended by signal {-code}" if code < 0 else f"has exit code {code}"


def _words(command: str) -> list[str]:
    """The words of a command, quoted as in a shell; CommandError if it has none, or names no program."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CommandError(f"--exec: {error}") from None
    if not words:
        raise CommandError("--exec: the command is empty")
    if "\0" in command or shutil.which(words[0]) is None:
        raise CommandError(
            f"--exec: program not found: {words[0]!r}; --exec uses no shell: for shell syntax, write"
            " --exec \"sh -c '...'\""
        )
    if "-c" not in words and (meant := [word for word in words if word in _OPERATORS or "$BUILDS" in word]):
        stderr().write(
            f"builds-async: --exec: there is no shell: {visible_text(meant[0])} is passed on unchanged;"
            " for a shell, write --exec \"sh -c '...'\"\n"
        )
    return words


def _described(client: BuildsClient, finished: Finished) -> tuple[Mapping[str, str], bytes]:
    """The environment variables and the standard input of a command for a build."""
    build, worker, reason = finished
    page = page_of(client, build.build_uuid, worker)
    facts = build_facts(build, worker=worker, page=page, reason=reason)
    variables = {name: visible_text(facts[fact][:_MAX_VALUE]) for name, fact in VARIABLES.items()}
    record = msgspec.to_builtins(build) | {"worker": worker, "reason": reason, "dashboard_url": page}
    return variables, f"{json_line(record)}\n".encode()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process and its children: SIGTERM, and after two seconds SIGKILL."""
    try:
        _send(process, signal.SIGTERM)
        async with asyncio.timeout(_TERMINATE_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        _send(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    await process.wait()


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # The group may be gone; macOS raises PermissionError if it has only zombies left.
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:  # Windows
            process.kill()
