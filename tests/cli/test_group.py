"""Tests `builds-async tail --group`: several processes print each line once."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.cli.support import DEADLINE, Cli, Served, started
from tests.support.engines import own_server


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
    """What does not go together is a usage error."""
    run = cli("tail", *words)
    assert (run.code, run.out) == (2, "")
    assert reason in run.err


@pytest.mark.slow
def test_two_tails(account: Served, tmp_path: Path) -> None:
    """Two tails of a group print each line once, also when one is stopped and the other goes on."""
    files = [tmp_path / name for name in "ab"]
    build = account.do(lambda: account.sim.add_build(external_script_id=account.sim.add_worker("grouped")))

    def wait_for(count: int) -> None:
        end = time.monotonic() + DEADLINE
        while len(read()) < count:
            assert time.monotonic() < end, read()
            time.sleep(0.02)

    def read() -> list[str]:
        lines = [line for file in files for line in file.read_text().splitlines()]
        return sorted(json.loads(line)["message"] for line in lines)

    with own_server() as engine:
        variables = account.environment | {"BUILDS_ASYNC_SHARED": engine.url}
        words = ("tail", "grouped", "--group", "g", "-o", "json")
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
