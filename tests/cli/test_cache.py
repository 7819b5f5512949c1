"""Tests the cache of printed builds and of Workers' names."""

import os
from pathlib import Path

import pytest

from builds_async.cli.cache import MAX_BUILDS, Cache

ACCOUNT = "a" * 32
FIRST, SECOND = (f"{digit * 8}-5a3d-4f6b-9c7e-1d2a3b4c5d6e" for digit in "12")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "builds-async"


@pytest.mark.usefixtures("directory")
def test_builds_and_names_are_remembered() -> None:
    """Another command of the same account finds the builds and names, and one of another account does not."""
    cache = Cache.of_account(ACCOUNT)
    cache.add_builds([FIRST])
    Cache.of_account(ACCOUNT).add_builds([SECOND])
    cache.set_workers(["shop", "blog"])
    again = Cache.of_account(ACCOUNT.upper())
    assert again.builds_starting_with("11111111") == (FIRST,)
    assert again.builds_starting_with("") == (SECOND, FIRST)
    assert again.workers == ("blog", "shop")
    assert Cache.of_account("b" * 32).builds_starting_with("") == ()


@pytest.mark.usefixtures("directory")
def test_size_is_bounded() -> None:
    """The oldest builds are forgotten."""
    cache = Cache.of_account(ACCOUNT)
    cache.add_builds([FIRST])
    cache.add_builds(f"{number:08x}-5a3d-4f6b-9c7e-1d2a3b4c5d6e" for number in range(MAX_BUILDS))
    assert len(cache.builds_starting_with("")) == MAX_BUILDS
    assert cache.builds_starting_with(FIRST) == ()


def test_file_is_private(directory: Path) -> None:
    """Only its owner can read the file, and its name does not show the account."""
    Cache.of_account(ACCOUNT).add_builds([FIRST])
    (file,) = directory.iterdir()
    assert ACCOUNT not in file.name
    if os.name == "posix":
        assert (directory.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"builds": 1}',
        b'{"builds": [null]}',
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * 3_000_000,
    ],
    ids=["empty", "cut", "list", "number", "null", "not-utf-8", "deep", "huge"],
)
def test_a_damaged_file_is_empty(content: bytes, directory: Path) -> None:
    """A damaged file counts as empty and is replaced."""
    Cache.of_account(ACCOUNT).add_builds([FIRST])
    (file,) = directory.iterdir()
    file.write_bytes(content)
    cache = Cache.of_account(ACCOUNT)
    assert cache.builds_starting_with("") == ()
    cache.add_builds([SECOND])
    assert Cache.of_account(ACCOUNT).builds_starting_with("") == (SECOND,)


def test_nothing_hostile_gets_out(directory: Path) -> None:
    """Words that are neither UUIDs nor plain names are ignored, whoever wrote them."""
    hostile = ["$(touch x)", "a b", "-rf", "a\nb", "", "`x`", "a" * 300, "é"]
    cache = Cache.of_account(ACCOUNT)
    cache.set_workers([*hostile, "shop"])
    cache.add_builds(["../../etc", FIRST.upper(), FIRST])
    assert (cache.workers, cache.builds_starting_with("")) == (("shop",), (FIRST,))
    (file,) = directory.iterdir()
    file.write_text('{"workers": ["$(touch x)", "shop"], "builds": ["x"]}')
    cache = Cache.of_account(ACCOUNT)
    assert (cache.workers, cache.builds_starting_with("")) == (("shop",), ())


@pytest.mark.parametrize("home", ["file", "fifo", "none"])
def test_without_a_directory(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a writable directory, the cache works for one command and reports nothing."""
    place = tmp_path / "place"
    if home == "file":
        place.write_text("")
    elif home == "fifo":
        if not hasattr(os, "mkfifo"):
            return
        (place / "builds-async").mkdir(parents=True)
        os.mkfifo(place / "builds-async" / "2b6c3b1a.json")
    else:
        place = Path("relative")
        monkeypatch.setenv("HOME", str(tmp_path / "missing" / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    cache = Cache.of_account(ACCOUNT)
    cache.add_builds([FIRST])
    assert cache.builds_starting_with("1111") == (FIRST,)
