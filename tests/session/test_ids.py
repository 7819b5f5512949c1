"""Ids as path segments, lists of ids, and queries."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds_async.session.encode import query
from builds_async.session.ids import id_list, segment
from tests.support.case import cases


class TestPaths:
    @cases(
        ("value", "encoded"),
        [
            ("3f2b8c1e-7d40", "3f2b8c1e-7d40"),
            ("a b", "a%20b"),
            ("a?b#c", "a%3Fb%23c"),
            ("%2e%2e", "%252e%252e"),
            ("%2F", "%252F"),
            ("é", "%C3%A9"),
            ("a\r\nHost: evil", "a%0D%0AHost%3A%20evil"),
            ("...", "..."),
            (".a", ".a"),
        ],
    )
    def test_encoded(self, value: str, encoded: str) -> None:
        """An id is percent-encoded into a single path segment."""
        assert segment(value) == encoded

    @cases("value", ["", ".", "..", "a/b", "../x", "/", "\\", "a\\b"])
    def test_refused(self, value: str) -> None:
        """An empty id, or one that would leave its place in the path, is rejected by name."""
        with pytest.raises(ValueError, match="can't be an id") as caught:
            segment(value)
        assert repr(value) in str(caught.value)

    @cases("value", [None, 1, b"a"])
    def test_not_a_string(self, value: object) -> None:
        """An id that is not a string is a TypeError."""
        with pytest.raises(TypeError, match=f"not {type(value).__name__}"):
            segment(value)  # type: ignore[arg-type]  # the point

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_any_segment(self, value: str) -> None:
        """An accepted id is one segment that decodes back to the id."""
        try:
            encoded = segment(value)
        except ValueError:
            assert value in {"", ".", ".."} or "/" in value or "\\" in value
        else:
            assert unquote(encoded) == value
            assert set(encoded).isdisjoint("/\\?#&,;= \r\n")
            assert encoded.isascii()

    def test_id_list(self) -> None:
        """A bulk lookup takes a comma-separated list of encoded ids."""
        assert id_list(["a", "b c", "é"]) == "a,b%20c,%C3%A9"
        assert id_list([]) == ""

    @cases(("value", "why"), [("a,b", "it contains a comma"), ("..", "empty or"), ("", "empty or")])
    def test_id_list_refused(self, value: str, why: str) -> None:
        """An item that contains a comma or is empty is rejected."""
        with pytest.raises(ValueError, match=why):
            id_list(["ok", value])

    def test_query(self) -> None:
        """Query parameters are encoded, including opaque ones, and None is omitted."""
        assert query(page=1, cursor="a+b/c=&d", none=None) == "page=1&cursor=a%2Bb%2Fc%3D%26d"
        assert query() == query(cursor=None) == ""
        assert query(cursor="") == "cursor="
