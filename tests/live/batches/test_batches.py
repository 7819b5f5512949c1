"""A tail in batches delivers first and saves afterwards."""

import asyncio
import random

import msgspec
import pytest

from builds_async import (
    LeaseLostError,
    TailBatch,
    TailBatches,
    TailPosition,
)
from tests.live.batches.support import Database, Transaction, batch_within, batches_of, judge, rows_of
from tests.live.tail.support import Wire, script, wire
from tests.support import nothing_left


def busy(it: Wire, workers: int = 3, builds: int = 2, lines: int = 8) -> list[str]:
    """Add Workers with builds that run one after the other, and return their tags."""
    tags = [it.sim.add_worker() for _ in range(workers)]
    for tag in tags:
        for n in range(builds):
            every = 1.0 if n else 0.0  # the first build writes its lines at once
            it.sim.add_build(script(lines, start=2.0 + 9 * n, every=every), external_script_id=tag)
    return tags


async def all_rows(it: Wire, batches: TailBatches, seconds: float = 60.0) -> list[tuple[str, int, str]]:
    rows = []
    until = it.sim.clock.now() + seconds
    while (batch := await batch_within(batches, it.sim.clock, until - it.sim.clock.now())) is not None:
        rows += rows_of(batch)
    return rows


async def write(batch: TailBatch, database: Database) -> None:
    transaction = Transaction()
    transaction.rows += rows_of(batch)
    await batch.commit(transaction)
    database.apply(transaction)


class TestBatches:
    async def test_a_batch_has_lines_of_one_worker(self) -> None:
        """Each batch holds at most `max_lines` items of one Worker, and all batches hold each line once."""
        it = wire()
        tags = busy(it)
        rows, ends, sizes = list[tuple[str, int, str]](), list[str](), set[int]()
        async with nothing_left(), batches_of(it, tags, Database(), max_lines=3) as batches:
            while (batch := await batch_within(batches, it.sim.clock, 60.0)) is not None:
                of = {line.external_script_id for line in batch.lines}
                of |= {end.external_script_id for end in batch.ends}
                assert of == {batch.external_script_id}
                assert batch.fence == 0
                sizes.add(len(batch.lines) + len(batch.ends))
                rows += rows_of(batch)
                ends += [end.build.build_uuid for end in batch.ends]
        assert judge(it.sim, rows) == (0, 0, 0)
        assert sorted(ends) == sorted(it.sim.builds)
        assert max(sizes) == 3

    async def test_saved_with_the_next_request(self) -> None:
        """A batch is saved when the next one is requested, and not before."""
        it = wire()
        (tag,) = busy(it, workers=1, builds=1)
        database = Database()
        async with batches_of(it, [tag], database) as batches:
            first = await anext(batches)
            before = database.positions[tag]
            await it.sim.clock.sleep(30.0)
            assert database.positions[tag] == before
            await anext(batches)
            _, _, saved = database.positions[tag]
            position = msgspec.json.decode(saved or "", type=TailPosition)
            (log,) = position.logs.values()
            assert log.position.number == first.lines[-1].number

    async def test_killed_in_a_batch(self) -> None:
        """After a crash, delivered but unsaved lines are delivered again; saved lines are not."""
        it = wire()
        tags = busy(it)
        database = Database()
        rows = list[tuple[str, int, str]]()
        batches = batches_of(it, tags, database, max_lines=2)
        for _ in range(4):
            batch = await anext(batches)
            rows += rows_of(batch)
        await batches._feed.aclose()  # a crash: nothing is saved anymore
        async with batches_of(it, tags, database, max_lines=2) as again:
            rows += await all_rows(it, again)
        lost, doubled, wrong = judge(it.sim, rows)
        assert (lost, wrong) == (0, 0)
        assert doubled == len(batch.lines)
        await batches._keeper._tasks.aclose()

    async def test_a_first_look_is_saved(self) -> None:
        """A build that was queued before a crash and ended before the restart is not missed."""
        it = wire()
        (tag,) = [it.sim.add_worker()]
        it.sim.add_build(script(4, start=20.0), external_script_id=tag)
        database = Database()
        batches = batches_of(it, [tag], database)
        assert await batch_within(batches, it.sim.clock, 10.0) is None
        await batches._keeper._tasks.aclose()
        await batches._feed.aclose()
        await it.sim.clock.sleep(60.0)
        async with batches_of(it, [tag], database) as again:
            rows = await all_rows(it, again, 20.0)
        assert judge(it.sim, rows) == (0, 0, 0)

    async def test_left_loops(self) -> None:
        """A batch whose loop ended early is delivered again in the next loop."""
        it = wire()
        (tag,) = busy(it, workers=1, builds=1)
        async with batches_of(it, [tag], Database(), max_lines=2) as batches:
            first = await anext(batches)
            async for batch in batches:
                assert batch.lines == first.lines
                break
            async for batch in batches:
                assert batch.lines == first.lines
                await batch.commit()
                break
            async for batch in batches:
                assert batch.lines[0].number == first.lines[-1].number + 1
                break

    async def test_commit_is_enough(self) -> None:
        """A committed batch is not delivered again, and a second commit does nothing."""
        it = wire()
        (tag,) = busy(it, workers=1, builds=1)
        database = Database()
        async with batches_of(it, [tag], database, max_lines=2) as batches:
            batch = await anext(batches)
            await batch.commit()
            saves = database.saves
            await batch.commit()
            assert database.saves == saves
            after = await anext(batches)
            assert after.lines[0].number == batch.lines[-1].number + 1

    async def test_after_commit_only_commit_counts(self) -> None:
        """After the first `commit`, an uncommitted batch is delivered again with the same lines."""
        it = wire()
        (tag,) = busy(it, workers=1, builds=1)
        async with batches_of(it, [tag], Database(), max_lines=2) as batches:
            await (await anext(batches)).commit()
            left = await anext(batches)
            again = await anext(batches)
            assert again.lines == left.lines
            await again.commit()
            assert (await anext(batches)).lines[0].number == left.lines[-1].number + 1

    async def test_another_owner(self) -> None:
        """When another owner has opened the Worker, a commit raises LeaseLostError and saves nothing."""
        it = wire()
        (tag,) = busy(it, workers=1, builds=1)
        database = Database()
        async with batches_of(it, [tag], database, max_lines=2) as batches:
            batch = await anext(batches)
            await database.open(tag, 5)
            before = database.positions[tag]
            for _ in range(2):
                with pytest.raises(LeaseLostError, match="another process"):
                    await batch.commit()
            assert database.positions[tag] == before
            assert [batch async for batch in batches] == []  # there is nothing else to follow

    async def test_a_save_without_a_response_is_looked_up(self) -> None:
        """A save whose response was lost is not confused with the next save, which has lines."""
        it = wire()
        tag = it.sim.add_worker()
        database = Database(only_commit=True)
        batches = batches_of(it, [tag], database)
        step = asyncio.ensure_future(anext(batches))
        await it.sim.clock.sleep(4.0)
        lost = ["saved"]

        def fail(what: str) -> None:
            if what in lost:
                lost.remove(what)
                raise TimeoutError

        database.fail = fail
        it.sim.add_build(script(6, start=25.0), external_script_id=tag)
        with pytest.raises(TimeoutError):  # the position has moved: there is a queued build
            await step
        await it.sim.clock.sleep(40.0)  # lines arrive in the meantime
        await write(await anext(batches), database)
        await batches._keeper._tasks.aclose()
        await batches._feed.aclose()
        async with batches_of(it, [tag], database) as again:
            while (batch := await batch_within(again, it.sim.clock, 40.0)) is not None:
                await write(batch, database)
        assert judge(it.sim, database.rows) == (0, 0, 0)

    async def test_no_nul(self) -> None:
        """Rows contain no NUL, which databases refuse; the lines keep it."""
        it = wire()
        tag = it.sim.add_worker()
        build = it.sim.add_build(external_script_id=tag)
        build.emit("a\0b")
        async with batches_of(it, [tag], Database()) as batches:
            batch = await anext(batches)
        assert batch.lines[0].line.message == "a\0b"
        assert rows_of(batch) == [(build.build_uuid, 1, "a\N{REPLACEMENT CHARACTER}b")]

    async def test_sets(self) -> None:
        """Workers can be added and removed, and a Worker that is added again resumes at its position."""
        it = wire()
        (one,), other = busy(it, workers=1, builds=2), it.sim.add_worker()
        build = it.sim.add_build(script(8, start=20.0), external_script_id=other)
        rows = list[tuple[str, int, str]]()
        async with batches_of(it, [one], Database(), max_lines=2) as batches:
            rows += rows_of(await anext(batches))
            rows += rows_of(await anext(batches))
            await batches.add(other)
            await batches.remove(one)
            await batches.remove(one)
            rows += await all_rows(it, batches, 40.0)
            assert build.build_uuid in {uuid for uuid, *_ in rows}
            await batches.add(one.upper())
            rows += await all_rows(it, batches, 40.0)
            assert batches.external_script_ids == (other, one.upper())
        assert judge(it.sim, rows) == (0, 0, 0)

    async def test_no_workers(self) -> None:
        """Without Workers, the loop ends."""
        assert [batch async for batch in batches_of(wire(), [], Database())] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
async def test_a_committing_sink_has_each_line_once(seed: int) -> None:
    """A sink with transactions stores every line exactly once, whatever fails.

    Requests and responses get lost, transactions roll back or have an unknown result, loop bodies fail, loops
    end early, and the process is killed.
    """
    rng = random.Random(seed)  # noqa: S311  # the same walk every time
    it = wire()
    tags = busy(it)
    database = Database(only_commit=True)

    def fail(_: str) -> None:
        if rng.random() < 0.08:
            raise TimeoutError("the database did not answer")

    database.fail = fail
    until = 90.0
    while it.sim.clock.now() < until + 60:
        if it.sim.clock.now() > until:
            database.fail = lambda _: None
        batches = batches_of(it, tags, database, max_lines=rng.randint(1, 6))
        await one_life(it, batches, database, rng, until)
        await batches._keeper._tasks.aclose()
        await batches._feed.aclose()
    assert judge(it.sim, database.rows) == (0, 0, 0)


async def one_life(
    it: Wire, batches: TailBatches, database: Database, rng: random.Random, until: float
) -> None:
    """Work until the process is killed."""
    while True:
        calm = it.sim.clock.now() > until
        if rng.random() < 0.1:
            batches.__aiter__()
        try:
            batch = await batch_within(batches, it.sim.clock, 15.0)
            if batch is None:
                if it.sim.clock.now() > until + 30:
                    return
                continue
            transaction = Transaction()
            transaction.rows += rows_of(batch)
            if not calm and rng.random() < 0.1:
                continue  # the body failed before the commit, and the loop continues
            await batch.commit(transaction)
            chance = 1.0 if calm else rng.random()
            if chance < 0.1:
                continue  # rolled back, although the commit succeeded
            database.apply(transaction)
            if chance < 0.2:  # killed
                return
        except (TimeoutError, LeaseLostError):
            pass
