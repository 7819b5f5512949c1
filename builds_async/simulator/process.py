"""Runs real processes as builds: their output becomes the log. POSIX only: it signals process groups."""

import asyncio
import codecs
import os
import shlex
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from os import PathLike
from typing import BinaryIO, NamedTuple

from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.session.clock import Clock
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.clock import VirtualClock

_CHUNK = 64 * 1024
_LONGEST_LINE = 64 * 1024
_LAST_OUTPUT = 1.0  # seconds to wait for the output of a process that has ended
_FAILED = "Failed: error occurred while running build command"


class LineSplitter:
    """Splits chunks of bytes into lines of at most `longest` characters. Buffers less than one line."""

    def __init__(self, longest: int = _LONGEST_LINE) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._longest = longest
        self._rest = ""

    def feed(self, data: bytes, *, last: bool = False) -> list[str]:
        """Return the lines that `data` completes; with `last`, include a final line without a line break."""
        *whole, rest = (self._rest + self._decoder.decode(data, last)).split("\n")
        lines = [part for line in whole for part in self._cut(line.removesuffix("\r"))]
        *pieces, self._rest = self._cut(rest)
        lines += pieces
        if last and self._rest:
            lines.append(self._rest)
            self._rest = ""
        return lines

    def _cut(self, line: str) -> Iterator[str]:
        for start in range(0, max(len(line), 1), self._longest):
            yield line[start : start + self._longest]


class _Job(NamedTuple):
    build: SimulatedBuild
    command: Sequence[str]
    cwd: str | PathLike[str] | None
    env: Mapping[str, str]
    started: asyncio.Event
    ended: asyncio.Event


class ProcessRunner:
    """Runs the processes of a simulator's builds. `stop` ends all of them."""

    def __init__(self, clock: Clock, kill_after: float) -> None:
        self._clock = clock
        self._kill_after = kill_after
        self._jobs: dict[asyncio.Task[None], _Job] = {}

    async def start(
        self,
        build: SimulatedBuild,
        command: Sequence[str],
        *,
        cwd: str | PathLike[str] | None,
        env: Mapping[str, str] | None,
    ) -> None:
        """Start a build's command. Returns once the process runs or has failed to start."""
        environment = {**(_own_environment() if env is None else env), **_build_variables(build)}
        job = _Job(build, command, cwd, environment, asyncio.Event(), asyncio.Event())
        build.on_finish = job.ended.set
        task = asyncio.create_task(self._run(job))
        self._jobs[task] = job
        task.add_done_callback(self._jobs.pop)
        await job.started.wait()

    async def stop(self) -> None:
        """Cancel the running builds, and wait until their processes are gone."""
        for job in self._jobs.values():
            job.build.cancel()
            job.ended.set()
        if self._jobs:
            await asyncio.wait(tuple(self._jobs))

    async def _run(self, job: _Job) -> None:
        build = job.build
        if job.ended.is_set():  # canceled before this task first ran
            job.started.set()
            return
        build.set_status(BuildStatus.INITIALIZING)
        build.emit("Initializing build environment...", "Success: Finished initializing build environment")
        build.set_status(BuildStatus.RUNNING)
        build.emit(f"Executing user build command: {shlex.join(job.command)}")
        try:
            # The clock runs in real time before the process starts, because the start itself takes real time.
            async with self._time(), _spawned(job) as (process, output):
                job.started.set()
                code = await self._wait_for(job, process, output)
        except (OSError, ValueError) as error:
            _close(build, BuildOutcome.FAIL, f"✘ [ERROR] The command could not be started: {error}", _FAILED)
        else:
            outcome = BuildOutcome.FAIL if code else BuildOutcome.SUCCESS
            _close(build, outcome, _FAILED if code else "Success: Build command completed")
        finally:
            job.started.set()

    async def _wait_for(
        self, job: _Job, process: asyncio.subprocess.Process, output: asyncio.StreamReader
    ) -> int:
        # Copied in a task, because a child process may hold the pipe open after the process has ended.
        copying = asyncio.create_task(_copy(output, job.build))
        ending = asyncio.create_task(self._end_when(job.ended, process))
        try:
            code = await process.wait()
            await asyncio.wait((copying,), timeout=_LAST_OUTPUT)
        finally:
            ending.cancel()
            _signal_group(process, signal.SIGKILL)  # its children, which may still hold the pipe open
            await asyncio.wait((copying,), timeout=_LAST_OUTPUT)
            copying.cancel()
            await asyncio.wait((copying, ending))
        return code

    async def _end_when(self, ended: asyncio.Event, process: asyncio.subprocess.Process) -> None:
        await ended.wait()
        _signal_group(process, signal.SIGTERM)
        # Real seconds: a virtual clock would kill the process at once.
        await asyncio.sleep(self._kill_after)
        _signal_group(process, signal.SIGKILL)

    @asynccontextmanager
    async def _time(self) -> AsyncIterator[None]:
        time: AbstractContextManager[None] = nullcontext()
        if isinstance(self._clock, VirtualClock):
            time = self._clock.real_time()
        with time:
            yield


@asynccontextmanager
async def _spawned(job: _Job) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    read_end, write_end = _pipe()
    output = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(output), read_end
    )
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                *job.command,
                cwd=job.cwd,
                env=job.env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=asyncio.subprocess.STDOUT,
                # The process gets its own group, so that signals reach its children but not this process.
                start_new_session=True,
            )
        finally:
            os.close(write_end)
        yield process, output
    finally:
        transport.close()


def _pipe() -> tuple[BinaryIO, int]:
    # Not asyncio's own pipe: with it, some Pythons wait until every process that inherited it has ended.
    read_end, write_end = os.pipe()
    return os.fdopen(read_end, "rb"), write_end


async def _copy(output: asyncio.StreamReader, build: SimulatedBuild) -> None:
    splitter = LineSplitter()
    while data := await output.read(_CHUNK):
        _write(build, *splitter.feed(data))
    _write(build, *splitter.feed(b"", last=True))


def _write(build: SimulatedBuild, *lines: str) -> None:
    if build.status != BuildStatus.STOPPED:  # a canceled build gets no more lines
        build.emit(*lines)


def _close(build: SimulatedBuild, outcome: BuildOutcome, *lines: str) -> None:
    if build.status != BuildStatus.STOPPED:
        build.emit(*lines)
        build.finish(outcome)


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # The group may be gone; macOS raises PermissionError if it has only zombies left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _own_environment() -> dict[str, str]:
    """This process's environment without Cloudflare's credentials: a build's output is served as a log."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("CLOUDFLARE_")}


def _build_variables(build: SimulatedBuild) -> dict[str, str]:
    return {
        "CI": "true",
        "WORKERS_CI": "1",
        "WORKERS_CI_BUILD_UUID": build.build_uuid,
        "WORKERS_CI_COMMIT_SHA": build.details.commit_hash or "",
        "WORKERS_CI_BRANCH": build.details.branch,
    }
