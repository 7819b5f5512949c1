"""Tests `builds-async tail --group`: several processes print each line once."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import nullcontext
from pathlib import Path

import pytest

from builds_async import Build, LogLine, TailEnd, TailLine
from builds_async.cli.executing import Finished
from builds_async.cli.follow import _print_batches
from tests.cli.support import DEADLINE, UUID, Cli, Served, started
from tests.support.engines import own_server

TAG = "a" * 32


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("shop", "--group", "g"), "--group needs --shared"),
        (("shop", "--group", "g", "--resume", "x", "--shared", "redis://h"), "use it without --resume"),
        (("8d1f0a6c-0000-4000-8000-000000000000", "--group", "g"), "--group is for Workers"),
        (("shop", "--group", "g|h", "--shared", "redis://127.0.0.1:1"), "group must be 1 to 200"),
    ],
    ids=["no engine", "resume", "build", "odd name"],
)
def test_misuse(words: tuple[str, ...], reason: str, cli: Cli) -> None:
    """Incompatible options are a usage error."""
    run = cli("tail", *words)
    assert (run.code, run.out) == (2, "")
    assert reason in run.err


class Steps:
    """The batches, the printer and the commands of a tail, and a record of their calls."""

    def __init__(self, *, interrupted: bool) -> None:
        self.done = list[str]()
        self._interrupted = interrupted
        self.lines = (TailLine(TAG, Build(build_uuid=UUID), LogLine(0, "a"), 1),)
        self.ends = (TailEnd(TAG, Build(build_uuid=UUID), True),)

    async def __aiter__(self) -> AsyncIterator["Steps"]:
        yield self

    def print(self, lines: Iterable[object], _wrote: object) -> None:
        self.done += ["printed" for _ in lines]

    def add(self, finished: Finished) -> None:
        self.done.append(f"command of {finished.worker}")

    async def drain(self) -> None:
        if self._interrupted:
            raise asyncio.CancelledError
        self.done.append("ended")

    async def commit(self) -> None:
        self.done.append("committed")


@pytest.mark.parametrize("interrupted", [False, True])
async def test_a_batch_is_committed_after_its_commands(interrupted: bool) -> None:
    """A batch with the end of a build is committed after its command ends, and not if it is interrupted."""
    steps = Steps(interrupted=interrupted)
    with pytest.raises(asyncio.CancelledError) if interrupted else nullcontext():
        await _print_batches(steps, steps, lambda _tag: "shop", steps)  # type: ignore[arg-type]
    after = [] if interrupted else ["ended", "committed"]
    assert steps.done == ["printed", "command of shop", *after]


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False], ids=["one Worker", "all Workers"])
def test_two_tails(account: Served, tmp_path: Path, named: bool) -> None:
    """Two tails of a group print each line once, even if one is stopped and the other continues."""
    name = "grouped" if named else "one-of-all"
    files = [tmp_path / name for name in "ab"]
    build = account.do(lambda: account.sim.add_build(external_script_id=account.sim.add_worker(name)))

    def wait_for(count: int) -> None:
        end = time.monotonic() + DEADLINE
        while len(read()) < count:
            assert time.monotonic() < end, read()
            time.sleep(0.02)

    def read() -> list[str]:
        lines = [line for file in files for line in file.read_text().splitlines()]
        printed = [json.loads(line) for line in lines]
        return sorted(line["message"] for line in printed if line["build_uuid"] == build.build_uuid)

    with own_server() as engine:
        variables = account.environment | {"BUILDS_ASYNC_SHARED": engine.url}
        words = ("tail", *([name] if named else []), "--group", "g", "-o", "json")
        with (
            files[0].open("wb") as first,
            files[1].open("wb") as second,
            started(variables, *words, stdout=first) as one,
        ):
            account.do(lambda: build.emit("1", "2"))
            wait_for(2)
            with started(variables, *words, stdout=second) as other:
                account.do(lambda: build.emit("3", "4"))
                wait_for(4)
                one.send_signal(signal.SIGTERM)
                assert one.wait(DEADLINE) == 143
                account.do(lambda: build.emit("5", "6"))
                wait_for(6)
                other.send_signal(signal.SIGINT)
                assert other.wait(DEADLINE) == 130
        assert read() == list("123456")
