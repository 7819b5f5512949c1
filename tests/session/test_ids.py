"""Ids as segments of a path, lists of ids, and queries."""

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
        """An id goes into a path percent-encoded, as one segment."""
        assert segment(value) == encoded

    @cases("value", ["", ".", "..", "a/b", "../x", "/", "\\", "a\\b"])
    def test_refused(self, value: str) -> None:
        """What is empty or would leave its place in the path is refused, by name."""
        with pytest.raises(ValueError, match="can't be an id") as caught:
            segment(value)
        assert repr(value) in str(caught.value)

    @cases("value", [None, 1, b"a"])
    def test_no_text(self, value: object) -> None:
        """An id is a string."""
        with pytest.raises(TypeError, match=f"not {type(value).__name__}"):
            segment(value)  # type: ignore[arg-type]  # the point

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_any_segment(self, value: str) -> None:
        """Whatever is not refused is one segment that decodes to the id."""
        try:
            encoded = segment(value)
        except ValueError:
            assert value in {"", ".", ".."} or "/" in value or "\\" in value
        else:
            assert unquote(encoded) == value
            assert set(encoded).isdisjoint("/\\?#&,;= \r\n")
            assert encoded.isascii()

    def test_id_list(self) -> None:
        """A bulk lookup takes a comma list of encoded ids."""
        assert id_list(["a", "b c", "é"]) == "a,b%20c,%C3%A9"
        assert id_list([]) == ""

    @cases(("value", "why"), [("a,b", "it contains a comma"), ("..", "empty or"), ("", "empty or")])
    def test_id_list_refused(self, value: str, why: str) -> None:
        """An id that would be two, or none, is refused."""
        with pytest.raises(ValueError, match=why):
            id_list(["ok", value])

    def test_query(self) -> None:
        """Parameters are encoded, also opaque ones, and those that are None left out."""
        assert query(page=1, cursor="a+b/c=&d", none=None) == "page=1&cursor=a%2Bb%2Fc%3D%26d"
        assert query() == query(cursor=None) == ""
        assert query(cursor="") == "cursor="
