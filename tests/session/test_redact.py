"""Secrets are redacted from text, and nothing else is."""

from random import Random
from string import ascii_letters, digits

from hypothesis import given
from hypothesis import strategies as st

from builds_async.session.redact import redact
from tests.support import TOKEN
from tests.support.case import cases
from tests.support.reading import a_response, refused


class TestRedaction:
    """An echo is redacted by its place, so that ordinary messages are not mangled."""

    @cases(
        ("text", "token", "shown"),
        [
            ("no such build", "build", "no such build"),
            ("unknown builds_async client", "builds", "unknown builds_async client"),
            ("502 Bad Gateway", "502", "502 Bad Gateway"),
            ("a t is a t", "t", "a t is a t"),
            ("SECRET stays", "SECRET", "SECRET stays"),
            ("Authorization: Bearer build", "build", "Authorization: Bearer ***"),
            ("bearer%20build and build", "build", "bearer%20*** and build"),
            ("X-Auth-Key: build\r\nbuild: 1", "build", "X-Auth-Key: ***\r\nbuild: 1"),
            ('{"token":"build"}', "build", '{"token":"***"}'),
            ("Invalid token build", "build", "Invalid token ***"),
            ("the token builds on", "build", "the token builds on"),
            ("token 12345 of 12345", "12345", "token *** of 12345"),
            ("s3cret in xs3cretx", "s3cret", "*** in x***x"),
            ("my-token", "my-token", "***"),
            ("aBcDeFgHiJ", "aBcDeFgHiJ", "***"),
            ("nothing", "", "nothing"),
        ],
    )
    def test_by_place(self, text: str, token: str, shown: str) -> None:
        """A word-like token is redacted only where tokens occur; any other token, anywhere."""
        assert redact(text, (token,)) == shown

    @given(st.integers(0, 2**32))
    def test_real(self, seed: int) -> None:
        """A random token, like a real one, is redacted inside any text."""
        token = "".join(Random(seed).choices(ascii_letters + digits, k=40))  # noqa: S311  # no secret
        assert token not in redact(f"x{token}y={token}%20{token}", (token,))

    @cases("value", [f"Bearer {TOKEN}", TOKEN, "a" * 21, "a b", "", "a-b-c"])
    def test_ray(self, value: str) -> None:
        """A value that can't be a ray id is not shown as one."""
        assert refused(a_response(b"", 502, cf_ray=value)).ray_id is None  # type: ignore[attr-defined]
