"""Valid names of users, groups and members, and their keys."""

import pytest

from builds_async.fleet.keys import checked_name, key
from tests.support.case import cases


@cases("name", ["default", "slack bot", "bücher", "a" * 200, "me@example.com"])
def test_valid_name(name: str) -> None:
    """Any printable name is valid."""
    assert checked_name("user", name) == name
    assert key("budget", name, "held") == f"builds-async:budget:{{{name}}}:held"


@cases("name", ["", "a" * 201, "a{b", "a}b", "a|b", "a\nb", "a\0b"])
def test_invalid_name(name: str) -> None:
    """A name that would break a key or a log line raises a ValueError with a short message."""
    with pytest.raises(ValueError, match="user must be 1 to 200 printable characters") as caught:
        checked_name("user", name)
    assert len(str(caught.value)) < 300


def test_wrong_type() -> None:
    """A value that is not a string raises a TypeError that does not show it."""
    with pytest.raises(TypeError, match="group must be a string, not bytes"):
        checked_name("group", b"secret")
