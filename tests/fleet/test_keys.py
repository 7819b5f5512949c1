"""What may be the name of a user, a group or a member, and which keys it gets."""

import pytest

from builds_async.fleet.keys import checked_name, key
from tests.support.case import cases


@cases("name", ["default", "slack bot", "bücher", "a" * 200, "me@example.com"])
def test_fine(name: str) -> None:
    """Any printable name will do."""
    assert checked_name("user", name) == name
    assert key("budget", name, "held") == f"builds-async:budget:{{{name}}}:held"


@cases("name", ["", "a" * 201, "a{b", "a}b", "a|b", "a\nb", "a\0b"])
def test_odd(name: str) -> None:
    """What would break a key or a log line is a ValueError, in a short message."""
    with pytest.raises(ValueError, match="user must be 1 to 200 printable characters") as caught:
        checked_name("user", name)
    assert len(str(caught.value)) < 300


def test_no_text() -> None:
    """What is no text is a TypeError that doesn't show it."""
    with pytest.raises(TypeError, match="group must be a string, not bytes"):
        checked_name("group", b"secret")
