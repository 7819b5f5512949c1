"""A file that stores positions."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from builds_async import ConfigurationError, FileStore, LogPosition, Saved, TailLog, TailPosition, WorkerMark
from builds_async.cli.resume import resume_file
from builds_async.simulator import BuildsSimulator
from tests.live.batches.support import judge, rows_of

A, B, C = (letter * 32 for letter in "abc")
UUID = "8d1f0a6c-0000-4000-8000-000000000000"


def part(tag: str, number: int = 3) -> TailPosition:
    uuid = tag[0] + UUID[1:]
    return TailPosition({tag: WorkerMark(uuid)}, {uuid: TailLog(tag, LogPosition("c", number, number))})


def text(position: TailPosition) -> str:
    return msgspec.json.encode(position).decode()


async def position_in(path: Path, tag: str) -> TailPosition | None:
    saved = await FileStore(path).open(tag, 0)
    assert saved is not None
    assert saved.seq == 0
    return None if saved.position is None else msgspec.json.decode(saved.position, type=TailPosition)


async def test_round_trip(tmp_path: Path) -> None:
    """Each Worker gets its own position back; a Worker that is not in the file gets none."""
    path = tmp_path / "positions"
    store = FileStore(path)
    for tag in (A, B):
        assert await store.open(tag, 0) == Saved()
        assert await store.save(tag, 0, 1, text(part(tag)))
    assert [await position_in(path, tag) for tag in (A, B, C)] == [part(A), part(B), None]
    assert list(tmp_path.iterdir()) == [path]


async def test_the_file_of_resume(tmp_path: Path) -> None:
    """The store and the `--resume` option of the command read each other's files."""
    path = tmp_path / "positions"
    store = FileStore(path)
    await store.open(A, 0)
    await store.save(A, 0, 1, text(part(A)))
    file = resume_file(str(path), TailPosition)
    assert file.load() == part(A)
    file.follow([A])
    file.save(part(A, 7))
    assert await position_in(path, A) == part(A, 7)


async def test_workers_that_are_left_out_are_kept(tmp_path: Path) -> None:
    """The position of a Worker that is not tailed this time stays in the file."""
    path = tmp_path / "positions"
    store = FileStore(path)
    for tag in (A, B):
        await store.open(tag, 0)
        await store.save(tag, 0, 1, text(part(tag)))
    store = FileStore(path)
    await store.open(A, 0)
    await store.save(A, 0, 1, text(part(A, 9)))
    assert [await position_in(path, tag) for tag in (A, B)] == [part(A, 9), part(B)]


async def test_saves_share_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent saves share at most two writes, and all are on disk when they return."""
    writes, replace = 0, os.replace

    def counted(source: str, target: Path) -> None:
        nonlocal writes
        writes += 1
        replace(source, target)

    monkeypatch.setattr(os, "replace", counted)
    store = FileStore(tmp_path / "positions")
    tags = [f"{number:032x}" for number in range(200)]
    for tag in tags:
        await store.open(tag, 0)
    await asyncio.gather(*(store.save(tag, 0, 1, text(part(tag))) for tag in tags))
    assert writes <= 2
    assert await position_in(tmp_path / "positions", tags[-1]) == part(tags[-1])


async def test_a_cancelled_save_is_not_torn(tmp_path: Path) -> None:
    """A canceled save leaves either the old or the new content, and the next save works."""
    path = tmp_path / "positions"
    store = FileStore(path)
    await store.open(A, 0)
    await store.save(A, 0, 1, text(part(A, 1)))
    for number in range(2, 12):
        saving = asyncio.ensure_future(store.save(A, 0, number, text(part(A, number))))
        for _ in range(number - 2):
            await asyncio.sleep(0)
        saving.cancel()
        await asyncio.wait({saving})
        assert await position_in(path, A) in (part(A, number - 1), part(A, number))
        await store.save(A, 0, number, text(part(A, number)))
        assert await position_in(path, A) == part(A, number)


@pytest.mark.parametrize("data", [b"{", b'{"build_uuid":"x","position":{}}', b"\0" * 99], ids=ascii)
async def test_garbage(data: bytes, tmp_path: Path) -> None:
    """A file of another kind is refused when the first Worker is opened, and is not changed."""
    path = tmp_path / "positions"
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"FileStore: positions (was not written|belongs)"):
        await FileStore(path).open(A, 0)
    assert path.read_bytes() == data


async def test_other_workers(tmp_path: Path) -> None:
    """A file that holds only other Workers is refused before it is replaced."""
    path = tmp_path / "positions"
    store = FileStore(path)
    await store.open(A, 0)
    await store.save(A, 0, 1, text(part(A)))
    store = FileStore(path)
    await store.open(B, 0)
    with pytest.raises(ConfigurationError, match="belongs to other Workers"):
        await store.save(B, 0, 1, text(part(B)))
    assert await position_in(path, A) == part(A)


async def test_no_fleet(tmp_path: Path) -> None:
    """A file is refused in a fleet, because it can't tell its owners apart."""
    with pytest.raises(ConfigurationError, match="a FileStore belongs to one process"):
        await FileStore(tmp_path / "positions").open(A, 1)


@pytest.mark.slow
async def test_a_bot_that_is_restarted(tmp_path: Path) -> None:
    """A bot with a file gets every line once if each run ends between two batches."""
    async with BuildsSimulator(page_size=3) as sim, sim.client() as client:
        tags = [sim.add_worker() for _ in range(2)]
        builds = [sim.add_build(external_script_id=tag) for tag in tags]
        rows = list[tuple[str, int, str]]()
        for _ in range(3):
            for build in builds:
                build.emit(*"abcde")
            async with client.tail(tags, store=FileStore(tmp_path / "positions"), max_lines=2) as batches:
                async for batch in batches:
                    rows += rows_of(batch)
                    if judge(sim, rows)[0] == 0:
                        await batch.commit()
                        break
    assert judge(sim, rows) == (0, 0, 0)
