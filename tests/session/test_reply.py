"""From a response to a reply: what counts as a success, and what is unreadable."""

import json

import msgspec
import pytest

from builds_async import (
    Build,
    NotFoundError,
    ResponseDecodeError,
)
from builds_async.models.envelope import Envelope
from tests.support import build, envelope
from tests.support.case import cases
from tests.support.reading import NUMBER, RAY, a_response, read, refused

BUILD = msgspec.json.Decoder(Envelope[Build])
HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>cloudflare</body>\r\n</html>\r\n"
TEXT = b"upstream connect error or disconnect/reset before headers. reset reason: connection termination"


class TestSuccess:
    @cases(
        "body",
        [
            envelope(1),
            {"result": 1},
            {"success": None, "result": 1},
            envelope(1, errors=None, messages=None),
            envelope(1, errors=[{"code": 12000, "message": "Not found"}]),
            envelope(1, later={"a": 1}),
        ],
        ids=["whole", "bare", "success null", "nulls", "noise in errors", "new field"],
    )
    @cases("status", [200, 201, 202, 299])
    def test_read(self, body: object, status: int) -> None:
        """A status below 300 with a `result`, and `success` not false, is a success."""
        assert read(a_response(body, status), NUMBER).result == 1

    def test_null(self) -> None:
        """A null result is valid, because several calls have no other."""
        assert read(a_response(envelope(None)), NUMBER).result is None

    @cases(
        ("escaped", "text"),
        [
            (r"a\ud83d", "a\ufffd"),
            (r"\uDE00b", "\ufffdb"),
            (r"\ud83d\ude00 \ud83d \ud83d\ude00", "\U0001f600 \ufffd \U0001f600"),
            (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
            (r"\ud83d\\ude00", "\ufffd\\ude00"),
            (r"\\ud83d \ud83d", "\\ud83d \ufffd"),
            (r"\\\ud83d\n\"", '\\\ufffd\n"'),
            (r"\ude00\ud83d", "\ufffd\ufffd"),
        ],
    )
    def test_half_an_emoji(self, escaped: str, text: str) -> None:
        """Half a surrogate pair, from text cut at a UTF-16 unit, affects no other text."""
        body = f'{{"success":true,"result":{{"build_uuid":"{escaped}","preview_url":"whole"}}}}'.encode()
        result = read(a_response(body), BUILD).result
        assert (result.build_uuid, result.preview_url) == (text, "whole")

    def test_half_an_emoji_in_a_refusal(self) -> None:
        """Half a surrogate pair in a refusal leaves its codes readable."""
        error = refused(a_response(b'{"success":false,"errors":[{"code":12000,"message":"x\\ud83d"}]}', 404))
        assert isinstance(error, NotFoundError)
        assert (error.codes, error.errors[0].message) == ((12000,), "x\ufffd")

    @cases(
        ("raw", "text"),
        [
            (b"caf\xe9", "caf\ufffd"),
            (b"\xe2\x9c", "\ufffd"),
            (b"\xed\xa0\xbd!", "\ufffd\ufffd\ufffd!"),
            (b"a\x00\x07\tb\nc", "a\x00\x07\tb\nc"),
            (b"\x1b[31mred\x1b[0m \xff \\ud83d", "\x1b[31mred\x1b[0m \ufffd \ufffd"),
        ],
        ids=["latin-1", "cut", "surrogate", "control characters", "all at once"],
    )
    def test_odd_bytes(self, raw: bytes, text: str) -> None:
        """A byte that is not UTF-8, or a raw control character, costs at most itself."""
        body = b'{"success": true, "result": {"build_uuid": "a", "preview_url": "%b"}}' % raw
        assert read(a_response(body), BUILD).result == Build(build_uuid="a", preview_url=text)

    def test_byte_order_mark(self) -> None:
        """A byte order mark before the JSON is ignored."""
        assert read(a_response(b'\xef\xbb\xbf{"result": 1}'), NUMBER).result == 1

    def test_typed(self) -> None:
        """The result is decoded to its type in the same pass."""
        result = read(a_response(envelope(build())), BUILD).result
        assert isinstance(result, Build)
        assert result.succeeded


class TestUnreadable:
    @cases(
        ("body", "shown"),
        [
            (
                HTML,
                "the page says '502 Bad Gateway cloudflare'",
            ),
            (TEXT, "the body starts with 'upstream connect error"),
            (b"", "the body is empty"),
            (b" \n", "the body is empty"),
            (b'{"success": true, "result": 1', 'the body starts with \'{"success": true, "result": 1\''),
            (b"\xff\xfe\x00", "the body starts with"),
            (b'{"success": true, "\xe9": 1, "result": 1', "the body starts with"),
            (b'{"later":' + b"[" * 100_000, """the body starts with '{"later":[[["""),
        ],
        ids=["HTML", "text", "empty", "blank", "cut", "binary", "latin-1", "deep"],
    )
    def test_garbled(self, body: bytes, shown: str) -> None:
        """A 200 that is not JSON is unreadable but transient, with status, ray id and the body's start."""
        error = refused(a_response(body, cf_ray=RAY))
        assert isinstance(error, ResponseDecodeError)
        assert error.message.startswith("the response (200) can't be read: ")
        assert shown in error.message
        assert error.message.endswith(f" (cf-ray {RAY})")
        assert (error.status, error.ray_id, error.transient) == (200, RAY, True)
        assert error.body == " ".join(body.decode("utf-8", "replace").split())[:300]

    @cases(
        ("body", "why"),
        [
            (envelope("one"), "Expected `int | null`, got `str` - at `$.result`"),
            (envelope({"a": 1}), "Expected `int | null`, got `object` - at `$.result`"),
            (["ok"], "Expected `object`, got `array`"),
            ("ok", "Expected `object`, got `str`"),
            (None, "Expected `object`, got `null`"),
            ({"success": True}, "it has no `result`"),
            ({}, "it has no `result`"),
        ],
        ids=["other type", "other shape", "array", "string", "null", "no result", "nothing"],
    )
    def test_shape(self, body: object, why: str) -> None:
        """Valid JSON of an unknown shape is unreadable and not transient, and the message says where."""
        error = refused(a_response(body))
        assert isinstance(error, ResponseDecodeError)
        assert error.message.startswith(f"the response (200) can't be read: {why}; ")
        assert (error.status, error.ray_id, error.transient) == (200, None, False)
        assert error.body == json.dumps(body)

    def test_page(self) -> None:
        """An HTML page is quoted by its text, without styles and scripts."""
        style = b"<style>.box { margin: 4em }</style>" * 100
        page = b"<html><head>" + style + b"<script>go()</script></head><body>Blocked</body>"
        assert refused(a_response(page, 403)).message.startswith(
            "403 not the API's JSON, the page says 'Blocked'"
        )

    @pytest.mark.parametrize("status", [200, 502])
    def test_excerpt(self, status: int) -> None:
        """A long body is quoted by its first few hundred characters."""
        error = refused(a_response(b"<p>" + b"x" * 7000 + b"</p>", status))
        assert "says 'xxx" in error.message
        assert 300 < len(error.message) < 600
        assert "</p>" not in error.message
