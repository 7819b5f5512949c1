"""Tests the file of `--resume`."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from builds_async import ConfigurationError, LogPosition, TailLog, TailPosition, WorkerMark
from builds_async.cli.resume import Checkpoint, resume_file
from builds_async.live.position_file import PositionFile
from tests.cli.support import UUID, Cli, Served
from tests.support.case import cases

TAG = "a" * 32


def of_build(path: Path, build_uuid: str = UUID) -> PositionFile[LogPosition]:
    return resume_file(str(path), LogPosition, build_uuid=build_uuid)


def of_workers(path: Path, *tags: str) -> tuple[PositionFile[TailPosition], TailPosition | None]:
    """The file, opened for a tail of these Workers, and its position."""
    file = resume_file(str(path), TailPosition)
    position = file.load()
    file.follow(tags)
    return file, position


def test_build_round_trip(tmp_path: Path) -> None:
    """The saved position is loaded; only the owner can read the file, and no other file remains."""
    path = tmp_path / "position"
    assert of_build(path).load() is None
    for position in (LogPosition("abc", 3), LogPosition(None, 7)):
        of_build(path).save(position)
        assert of_build(path).load() == position
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_workers_round_trip(tmp_path: Path) -> None:
    """A position of Workers is loaded, whatever their order."""
    path = tmp_path / "position"
    position = TailPosition({TAG: WorkerMark(UUID)}, {UUID: TailLog(TAG, LogPosition("abc", 3))})
    of_workers(path, TAG, "b" * 32)[0].save(position)
    assert of_workers(path, "b" * 32, TAG)[1] == position


def test_links(tmp_path: Path) -> None:
    """A link stays a link; a dangling link is refused, because another user may have made it."""
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(ConfigurationError, match="link to a file that does not exist"):
        of_build(tmp_path / "link")
    assert not (tmp_path / "file").exists()
    (tmp_path / "file").touch()
    of_build(tmp_path / "link").save(LogPosition("a"))
    assert (tmp_path / "link").is_symlink()
    assert of_build(tmp_path / "file").load() == LogPosition("a")


@pytest.mark.parametrize("kind", ["device", "FIFO", "directory", "large file"])
def test_an_unsuitable_file_is_refused(kind: str, tmp_path: Path) -> None:
    """A device, a FIFO, a directory and a huge file are refused without waiting for them or reading them."""
    path = tmp_path / "position"
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(2**31)
    with pytest.raises(ConfigurationError, match=r"--resume: (position|zero) (is|can't be read)"):
        of_build(path).load()


def test_another_subject_is_refused(tmp_path: Path) -> None:
    """A file that belongs to another build or to other Workers is a usage error."""
    build, workers = tmp_path / "build", tmp_path / "workers"
    of_build(build).save(LogPosition("a"))
    of_workers(workers, TAG)[0].save(TailPosition({TAG: None}))
    with pytest.raises(ConfigurationError, match=f"build belongs to build {UUID}"):
        of_build(build, UUID.replace("8", "9")).load()
    with pytest.raises(ConfigurationError, match="workers belongs to Workers, not to a build"):
        of_build(workers).load()
    with pytest.raises(ConfigurationError, match="belongs to other Workers"):
        of_workers(workers, "b" * 32)
    with pytest.raises(ConfigurationError, match="build belongs to build"):
        of_workers(build, TAG)


GARBAGE = [
    b"{",
    b"[]",
    b"null",
    b"\xff\x00",
    b'{"build_uuid":1}',
    b'{"position":{"offset":1}}',
    b'{"build_uuid":"%s","position":{"offset":"x"}}' % UUID.encode(),
    b'{"build_uuid":"\xe9","position":{}}',
    b'{"build_uuid":"%s","position":{"cursor":"\xe9"}}' % UUID.encode(),
    b"\0" * 200,
]


@cases("data", GARBAGE, ids=lambda data: ascii(data[:60]))
def test_garbage_is_refused(data: bytes, tmp_path: Path) -> None:
    """A file of another kind is refused and stays unchanged."""
    path = tmp_path / "position"
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match="was not written by --resume"):
        of_build(path).load()
    assert path.read_bytes() == data


@pytest.mark.parametrize("data", [b"", b"\n"], ids=ascii)
def test_an_empty_file_is_a_new_one(data: bytes, tmp_path: Path) -> None:
    """An empty file counts as missing: `mktemp` or a power cut may leave one."""
    path = tmp_path / "position"
    path.write_bytes(data)
    assert of_build(path).load() is None
    assert of_workers(path, TAG)[1] is None
    of_build(path).save(LogPosition("a"))
    assert of_build(path).load() == LogPosition("a")


def test_each_worker_has_its_own_position(tmp_path: Path) -> None:
    """Adding a Worker does not affect the others; the position of an omitted Worker is kept."""
    path = tmp_path / "position"
    a, b, c = (letter * 32 for letter in "abc")
    marks = {tag: WorkerMark(UUID.replace("8", tag[0])) for tag in (a, b, c)}
    logs = {mark.build_uuid: TailLog(tag, LogPosition(tag, 1)) for tag, mark in marks.items()}
    of_workers(path, a, b)[0].save(TailPosition({a: marks[a], b: marks[b]}, logs))
    file, position = of_workers(path, b, c)
    assert position is not None
    assert (position.workers[b], c in position.workers) == (marks[b], False)
    moved = {marks[b].build_uuid: TailLog(b, LogPosition("moved", 2))}
    file.save(TailPosition({b: None, c: marks[c]}, moved))
    _, position = of_workers(path, a)
    assert position == TailPosition(
        {a: marks[a], b: None, c: marks[c]}, {**moved, marks[a].build_uuid: logs[marks[a].build_uuid]}
    )


def test_a_save_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content reaches the disk before the name, and the name before `save` returns."""
    path = tmp_path / "position"
    steps: list[str] = []
    replace, sync = os.replace, os.fsync

    def noted_replace(source: str, target: Path) -> None:
        steps.append(f"replace with {len(Path(source).read_bytes())} bytes")
        replace(source, target)

    def noted_sync(number: int) -> None:
        about = os.fstat(number)
        steps.append("directory" if stat.S_ISDIR(about.st_mode) else f"file of {about.st_size} bytes")
        sync(number)

    monkeypatch.setattr(os, "replace", noted_replace)
    monkeypatch.setattr(os, "fsync", noted_sync)
    of_build(path).save(LogPosition("a"))
    size = path.stat().st_size
    assert steps == [f"file of {size} bytes", f"replace with {size} bytes", "directory"]


def _refuse(error: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    return refuse


def test_without_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saving works where a directory can't be opened (Windows) or a file system lacks fsync."""
    path = tmp_path / "position"
    monkeypatch.delattr(os, "O_DIRECTORY")
    of_build(path).save(LogPosition("a"))
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", _refuse(errno.EINVAL))
    of_build(path).save(LogPosition("b"))
    assert of_build(path).load() == LogPosition("b")


def test_a_failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If fsync fails, saving is an error and the old position stays."""
    path = tmp_path / "position"
    of_build(path).save(LogPosition("a"))
    monkeypatch.setattr(os, "fsync", _refuse(errno.EIO))
    with pytest.raises(ConfigurationError, match=r"can't be written: Input/output error"):
        of_build(path).save(LogPosition("b"))
    assert of_build(path).load() == LogPosition("a")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("exists", [True, False], ids=["old-file", "new-file"])
def test_an_unwritable_directory_is_found_at_the_start(
    exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading tests the directory by creating a file, and leaves nothing behind."""
    path = tmp_path / "position"
    if exists:
        of_build(path).save(LogPosition("a"))
    of_build(path).load()
    assert list(tmp_path.iterdir()) == [path] * exists
    monkeypatch.setattr("tempfile.mkstemp", _refuse(errno.EROFS))
    with pytest.raises(ConfigurationError, match="position can't be written there: Read-only file system"):
        of_build(path).load()


def test_an_unwritable_directory_costs_no_request(tmp_path: Path, account: Served, cli: Cli) -> None:
    """The error is reported before the first request, for a build and for a Worker."""
    before = len(account.sim.requests)
    for what in (UUID, "shop"):
        run = cli("tail", what, "--resume", str(tmp_path / "missing" / "position"))
        assert (run.code, run.out) == (2, "")
        assert "position can't be written there" in run.err
    assert len(account.sim.requests) == before


class Slow:
    """A resume file on a slow disk, with a clock that saving advances."""

    def __init__(self, cost: float) -> None:
        self.now = 0.0
        self.saved: list[LogPosition] = []
        self._cost = cost

    def save(self, position: LogPosition) -> bool:
        self.saved.append(position)
        self.now += self._cost
        return True


def at(offset: int) -> LogPosition:
    return LogPosition(None, offset)


def test_a_slow_disk_gets_a_tenth_of_the_time() -> None:
    """A position noted too early is saved with a later one or at the end; nothing is saved twice."""
    disk = Slow(cost=0.5)
    keep = Checkpoint(cast("PositionFile[LogPosition]", disk), None, now=lambda: disk.now)
    assert keep.pause == pytest.approx(0.05)
    keep.note(at(1))
    keep.note(at(1))
    assert (disk.saved, keep.pause) == ([at(1)], 1.0)
    disk.now += 4.0
    keep.note(at(2))
    assert disk.saved == [at(1)]
    assert keep.pause == pytest.approx(1.0)
    disk.now += 1.0
    keep.note(at(3))
    assert disk.saved == [at(1), at(3)]
    keep.note(at(4))
    keep.close()
    keep.close()
    assert disk.saved == [at(1), at(3), at(4)]


def test_without_a_file_nothing_is_saved() -> None:
    """Without a file, the position is only remembered."""
    keep: Checkpoint[LogPosition] = Checkpoint(None, at(1))
    keep.note(at(2))
    keep.close()
    assert (keep.position, keep.pause) == (at(2), None)


def test_a_missing_directory(tmp_path: Path) -> None:
    """A path that can't be written is an error at the start."""
    with pytest.raises(ConfigurationError, match="can't be written"):
        of_build(tmp_path / "missing" / "position").load()
    with pytest.raises(ConfigurationError, match="can't be read"):
        of_build(tmp_path).load()


def test_failed_save_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the new position can't be written, the old one stays and no other file remains."""
    path = tmp_path / "position"
    of_build(path).save(LogPosition("a"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        of_build(path).save(LogPosition("b"))
    assert of_build(path).load() == LogPosition("a")
    assert list(tmp_path.iterdir()) == [path]


def test_position_beyond_the_log_is_no_success(account: Served, cli: Cli, tmp_path: Path) -> None:
    """A position beyond the end of the log is an error, not an empty success."""
    build = account.do(lambda: account.sim.add_finished_build(3))
    path = tmp_path / "position"
    of_build(path, build.build_uuid).save(LogPosition(None, 10**9))
    run = cli("tail", build.build_uuid, "--resume", str(path))
    assert (run.code, run.out) == (4, "")
    assert "may be incomplete" in run.err


def test_an_impossible_position(account: Served, cli: Cli, tmp_path: Path) -> None:
    """An invalid position in an edited file is reported in one line, for a build and for Workers."""
    build = account.do(lambda: account.sim.add_finished_build(3))
    tag, path, wrong = build.external_script_id, tmp_path / "position", LogPosition(None, -1)
    of_build(path, build.build_uuid).save(wrong)
    file, _ = of_workers(tmp_path / "workers", tag)
    file.save(TailPosition({tag: None}, {build.build_uuid: TailLog(tag, wrong)}))
    for what, name in ((build.build_uuid, "position"), (tag, "workers")):
        run = cli("tail", what, "--resume", str(tmp_path / name))
        assert run.code == 2
        assert run.err.startswith(
            "builds-async: --resume: the offset of a position must be 0 or more lines, not -1"
        )
