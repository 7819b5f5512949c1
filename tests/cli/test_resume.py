"""The file of `--resume`."""

import stat
from pathlib import Path

import pytest

from builds_async import LogPosition, TailLog, TailPosition, WorkerMark
from builds_async.cli.exits import CommandError
from builds_async.cli.resume import ResumeFile

UUID = "8b2c1f0e-5a3d-4f6b-9c7e-1d2a3b4c5d6e"
TAG = "a" * 32


def of_build(path: Path, build_uuid: str = UUID) -> ResumeFile[LogPosition]:
    return ResumeFile(str(path), LogPosition, build_uuid=build_uuid)


def of_workers(path: Path, *tags: str) -> ResumeFile[TailPosition]:
    return ResumeFile(str(path), TailPosition, workers=tags)


def test_build_round_trip(tmp_path: Path) -> None:
    """What was saved is loaded; only the owner may read it, and no other file is left."""
    path = tmp_path / "position"
    assert of_build(path).load() is None
    for position in (LogPosition("abc", 3), LogPosition(None, 7)):
        of_build(path).save(position)
        assert of_build(path).load() == position
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_workers_round_trip(tmp_path: Path) -> None:
    """The order in which Workers are named does not matter."""
    path = tmp_path / "position"
    position = TailPosition({TAG: WorkerMark(UUID)}, {UUID: TailLog(TAG, LogPosition("abc", 3))})
    of_workers(path, TAG, "b" * 32).save(position)
    assert of_workers(path, "b" * 32, TAG).load() == position


def test_it_stands_where_a_link_points(tmp_path: Path) -> None:
    """A link stays a link."""
    (tmp_path / "link").symlink_to(tmp_path / "file")
    of_build(tmp_path / "link").save(LogPosition("a"))
    assert (tmp_path / "link").is_symlink()
    assert of_build(tmp_path / "file").load() == LogPosition("a")


def test_another_subject_is_refused(tmp_path: Path) -> None:
    """A file of another build, or of other Workers, is a wrong option that says so."""
    build, workers = tmp_path / "build", tmp_path / "workers"
    of_build(build).save(LogPosition("a"))
    of_workers(workers, TAG).save(TailPosition({TAG: None}))
    with pytest.raises(CommandError, match=f"build is of build {UUID}"):
        of_build(build, UUID.replace("8", "9")).load()
    with pytest.raises(CommandError, match="workers is of Workers, not of a build"):
        of_build(workers).load()
    with pytest.raises(CommandError, match="is of other Workers"):
        of_workers(workers, "b" * 32).load()
    with pytest.raises(CommandError, match="build is of build"):
        of_workers(build, TAG).load()


GARBAGE = [b"", b"{", b"[]", b"null", b"\xff\x00", b'{"build_uuid":1}', b'{"position":{"offset":"x"}}']


@pytest.mark.parametrize("data", GARBAGE, ids=ascii)
def test_garbage_is_refused(data: bytes, tmp_path: Path) -> None:
    """A file of something else is neither taken for a position nor overwritten."""
    path = tmp_path / "position"
    path.write_bytes(data)
    with pytest.raises(CommandError, match="no file that --resume has written"):
        of_build(path).load()
    assert path.read_bytes() == data


def test_no_place(tmp_path: Path) -> None:
    """A place that can't be written is found out at the beginning."""
    with pytest.raises(CommandError, match="can't be written"):
        of_build(tmp_path / "missing" / "position").load()
    with pytest.raises(CommandError, match="can't be read"):
        of_build(tmp_path).load()


def test_failed_save_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new position can't be written, the old one stays and nothing else is left."""
    path = tmp_path / "position"
    of_build(path).save(LogPosition("a"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(CommandError, match="No space left"):
        of_build(path).save(LogPosition("b"))
    assert of_build(path).load() == LogPosition("a")
    assert list(tmp_path.iterdir()) == [path]
