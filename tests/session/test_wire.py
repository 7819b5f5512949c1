"""The sans-I/O half of the session layer: bytes in, a value or one of our errors out."""

import json
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from string import ascii_letters, digits
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from builds_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    Build,
    BuildsError,
    ConflictError,
    ErrorDetail,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
)
from builds_async.models.envelope import Envelope
from builds_async.session.encode import query
from builds_async.session.headers import Allowance, allowances, retry_after
from builds_async.session.ids import id_list, segment
from builds_async.session.redact import redact
from builds_async.session.transport import Response
from tests.support import TOKEN, build, envelope, refusal
from tests.support.reading import read

NUMBER = msgspec.json.Decoder(Envelope[int])
BUILD = msgspec.json.Decoder(Envelope[Build])
RAY = "8f2c1d0e9b7a6543-FRA"
HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>cloudflare</body>\r\n</html>\r\n"
TEXT = b"upstream connect error or disconnect/reset before headers. reset reason: connection termination"


def an_answer(body: object, status: int = 200, **headers: str) -> Response:
    """An answer as it came over the wire."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(
        status, CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), data
    )


def refused(answer: Response, *, method: str = "GET", secrets: Iterable[str] = ()) -> BuildsError:
    """The error that an answer is."""
    with pytest.raises(BuildsError) as caught:
        read(answer, NUMBER, method=method, secrets=secrets)
    return caught.value


class TestSuccess:
    @pytest.mark.parametrize(
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
    @pytest.mark.parametrize("status", [200, 201, 202, 299])
    def test_read(self, body: object, status: int) -> None:
        """A status below 300, `success` not false and a `result` are a success."""
        assert read(an_answer(body, status), NUMBER).result == 1

    def test_null(self) -> None:
        """A null result is a result: several calls have no other."""
        assert read(an_answer(envelope(None)), NUMBER).result is None

    @pytest.mark.parametrize(
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
        """Half a surrogate pair, as text has it that was cut by UTF-16 units, takes no other text with it."""
        body = f'{{"success":true,"result":{{"build_uuid":"{escaped}","preview_url":"whole"}}}}'.encode()
        result = read(an_answer(body), BUILD).result
        assert (result.build_uuid, result.preview_url) == (text, "whole")

    def test_half_an_emoji_in_a_refusal(self) -> None:
        """Nor does it take the codes of a refusal with it."""
        error = refused(an_answer(b'{"success":false,"errors":[{"code":12000,"message":"x\\ud83d"}]}', 404))
        assert isinstance(error, NotFoundError)
        assert (error.codes, error.errors[0].message) == ((12000,), "x\ufffd")

    @pytest.mark.parametrize(
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
        assert read(an_answer(body), BUILD).result == Build(build_uuid="a", preview_url=text)

    def test_byte_order_mark(self) -> None:
        """A byte order mark before the JSON is no part of it."""
        assert read(an_answer(b'\xef\xbb\xbf{"result": 1}'), NUMBER).result == 1

    def test_typed(self) -> None:
        """The result is decoded to its type in the same pass."""
        result = read(an_answer(envelope(build())), BUILD).result
        assert isinstance(result, Build)
        assert result.succeeded


class TestUnreadable:
    @pytest.mark.parametrize(
        ("body", "shown"),
        [
            (
                HTML,
                "the body starts with '<html> <head><title>502 Bad Gateway</title></head> <body>cloudflare",
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
        error = refused(an_answer(body, cf_ray=RAY))
        assert isinstance(error, ResponseDecodeError)
        assert error.message.startswith("the response (200) can't be read: ")
        assert shown in error.message
        assert error.message.endswith(f" (cf-ray {RAY})")
        assert (error.status, error.ray_id, error.transient) == (200, RAY, True)
        assert error.body == " ".join(body.decode("utf-8", "replace").split())[:300]

    @pytest.mark.parametrize(
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
        """Whole JSON of an unknown shape is unreadable for good, and the message says where."""
        error = refused(an_answer(body))
        assert isinstance(error, ResponseDecodeError)
        assert error.message.startswith(f"the response (200) can't be read: {why}; ")
        assert (error.status, error.ray_id, error.transient) == (200, None, False)
        assert error.body == json.dumps(body)

    def test_page(self) -> None:
        """Of a page its text is shown, not its style and scripts."""
        style = b"<style>.box { margin: 4em }</style>" * 100
        page = b"<html><head>" + style + b"<script>go()</script></head><body>Blocked</body>"
        assert refused(an_answer(page, 403)).message.startswith(
            "403 not the API's JSON, the body starts with '<html><head> </head><body>Blocked"
        )

    @pytest.mark.parametrize("status", [200, 502])
    def test_excerpt(self, status: int) -> None:
        """Of a long body, some hundred characters are shown."""
        error = refused(an_answer(b"<p>" + b"x" * 7000 + b"</p>", status))
        assert "<p>xxx" in error.message
        assert 300 < len(error.message) < 600
        assert "</p>" not in error.message


KINDS: dict[int, type[APIError]] = {
    300: APIError,
    302: APIError,
    304: APIError,
    400: BadRequestError,
    401: AuthenticationError,
    402: APIError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: APIError,
    408: APIError,
    409: ConflictError,
    410: APIError,
    418: APIError,
    422: BadRequestError,
    429: RateLimitError,
    451: APIError,
    500: InternalServerError,
    501: InternalServerError,
    502: InternalServerError,
    503: InternalServerError,
    504: InternalServerError,
    520: InternalServerError,
    530: InternalServerError,
    599: InternalServerError,
}


class TestRefusal:
    @pytest.mark.parametrize(
        ("body", "errors"),
        [
            (
                refusal(7003, "No route for the URI"),
                (ErrorDetail(code=7003, message="No route for the URI"),),
            ),
            (refusal(), ()),
            (HTML, ()),
            (b"", ()),
            (b"null", ()),
        ],
        ids=["JSON", "no errors", "HTML", "empty", "null"],
    )
    @pytest.mark.parametrize(("status", "kind"), KINDS.items(), ids=str)
    def test_status(
        self, status: int, kind: type[APIError], body: object, errors: tuple[ErrorDetail, ...]
    ) -> None:
        """The status alone decides on the kind of a refusal, whatever its body is."""
        error = refused(an_answer(body, status, CF_RAY=RAY))
        assert type(error) is kind
        assert isinstance(error, APIError)
        assert error.message.startswith(f"{status} ")
        assert error.message.endswith(f" (cf-ray {RAY})")
        assert (error.status, error.errors, error.ray_id) == (status, errors, RAY)

    @pytest.mark.parametrize("status", [200, 201])
    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (971, RateLimitError),
            (10000, PermissionDeniedError),
            (12000, NotFoundError),
            (12002, BadRequestError),
            (12005, AuthenticationError),
            (12006, AuthenticationError),
            (12013, BadRequestError),
            (12049, ConflictError),
            (12051, RateLimitError),
            (999999, APIError),
            (None, APIError),
        ],
    )
    def test_success_false(self, status: int, code: int | None, kind: type[APIError]) -> None:
        """`success: false` under a good status is a refusal, of the kind that its code tells."""
        error = refused(an_answer(refusal(code, "so it is"), status))
        assert type(error) is kind
        assert isinstance(error, APIError)
        assert "so it is" in error.message
        assert (error.status, error.errors) == (status, (ErrorDetail(code=code, message="so it is"),))

    @pytest.mark.parametrize("result", ["gone", {"a": 1}, [], 1, None], ids=repr)
    def test_success_false_with_result(self, result: object) -> None:
        """`success: false` is a refusal whatever stands as its result."""
        body = {**refusal(12000, "Not found"), "result": result}
        assert type(refused(an_answer(body))) is NotFoundError

    def test_message(self) -> None:
        """The message has status, texts and codes of all errors, and what to do."""
        body = refusal(12013, "Invalid query parameter", (12002, "Invalid request body"))
        error = refused(an_answer(body, 400))
        assert error.message == (
            "400 Invalid query parameter [12013]; Invalid request body [12002]. Change the request"
        )
        assert isinstance(error, APIError)
        assert error.codes == (12013, 12002)

    def test_no_json(self) -> None:
        """Of a refusal that is not the API's, the message has the start of the body on one line."""
        error = refused(an_answer(HTML, 502))
        assert error.message == (
            "502 not the API's JSON, the body starts with '<html> <head><title>502 Bad Gateway</title></head>"
            " <body>cloudflare</body> </html>'. Cloudflare failed to answer; try again later"
        )

    def test_empty(self) -> None:
        """Of an empty refusal, the message says so."""
        assert refused(an_answer(b"", 503)).message.startswith("503 the body is empty. ")

    def test_long(self) -> None:
        """Long texts of the API are cut in the message."""
        error = refused(an_answer(refusal(12002, "x" * 5000), 400))
        assert len(error.message) < 700

    @pytest.mark.parametrize(
        ("status", "body", "said"),
        [
            (401, refusal(12006, "Invalid token"), "the Builds API takes user-owned tokens only"),
            (401, refusal(12005, "Missing token from authorization header"), "CLOUDFLARE_API_TOKEN"),
            (404, refusal(12000, "Not found"), "a Worker goes by its tag (32 hex digits), not by its name"),
            (403, HTML, "a firewall or proxy on the way"),
            (429, refusal(971, "Please wait"), "1,200 requests per 5 minutes"),
            (302, b"", "Redirects are not followed"),
            (500, HTML, "try again later"),
        ],
        ids=["account-owned", "no token", "not found", "firewall", "limited", "redirect", "5xx"],
    )
    def test_advice(self, status: int, body: object, said: str) -> None:
        """The message says what the caller can do."""
        assert said in refused(an_answer(body, status)).message

    @pytest.mark.parametrize(
        ("method", "api", "dashboard"),
        [
            ("GET", "Read", "Read"),
            ("PUT", "Write", "Edit"),
            ("POST", "Write", "Edit"),
            ("DELETE", "Write", "Edit"),
        ],
    )
    def test_permission(self, method: str, api: str, dashboard: str) -> None:
        """A 403 with code 10000 names the missing permission under each of its names."""
        error = refused(an_answer(refusal(10000, "Authentication error"), 403), method=method)
        assert isinstance(error, PermissionDeniedError)
        assert error.codes == (10000,)
        for name in (
            f'"Workers CI {api}"',
            f'"Workers Builds Configuration: {dashboard}"',
            f'"Workers Builds: {dashboard}"',
            '"workers_ci"',
        ):
            assert name in error.message

    @pytest.mark.parametrize("errors", [None, "text", [], {"code": 1}, [None], [1, []], 7], ids=repr)
    def test_odd_errors(self, errors: object) -> None:
        """Errors of an unknown shape don't hide that it is a refusal, and the body can be seen."""
        body = {"success": False, "errors": errors}
        error = refused(an_answer(body, 404))
        assert isinstance(error, NotFoundError)
        assert error.errors == ()
        assert json.dumps(errors) in error.message

    def test_odd_entries(self) -> None:
        """What can be read of an odd entry is, and it takes none of the others with it."""
        entries = ["text", {"code": "12006", "message": None}, None, {"message": "a", "code": 1.5}]
        error = refused(an_answer({"success": False, "errors": entries}, 401))
        assert isinstance(error, AuthenticationError)
        assert error.errors == (
            ErrorDetail(message="text"),
            ErrorDetail(code=12006),
            ErrorDetail(message="a"),
        )
        assert error.message.startswith("401 text; [12006]; a. The token is wrong or expired")

    def test_details_tolerated(self) -> None:
        """New fields of an error are skipped, a missing code is None."""
        body = {"success": False, "errors": [{"message": "a", "documentation_url": "u"}, {"code": 5}]}
        error = refused(an_answer(body, 400))
        assert isinstance(error, APIError)
        assert error.errors == (ErrorDetail(message="a"), ErrorDetail(code=5))

    def test_no_ray(self) -> None:
        """Without a `cf-ray` header there is no ray id, in the message neither."""
        error = refused(an_answer(refusal(12000, "Not found"), 404))
        assert isinstance(error, APIError)
        assert error.ray_id is None
        assert "cf-ray" not in error.message

    @pytest.mark.parametrize(
        ("method", "status", "advice"),
        [
            ("GET", 500, "try again later"),
            ("POST", 500, "look whether it was done before you do it again"),
            ("PUT", 503, "look whether it was done before you do it again"),
            ("DELETE", 502, "look whether it was done before you do it again"),
            ("POST", 409, "Read what is there before you try again"),
        ],
    )
    def test_what_to_do(self, method: str, status: int, advice: str) -> None:
        """After a failed write one has to look whether it was done; a failed read can just be repeated."""
        assert advice in str(refused(an_answer(b"", status), method=method))

    @pytest.mark.parametrize(
        ("status", "value", "wait"),
        [(503, "6", 6.0), (503, "soon", None), (503, None, None), (500, "6", None)],
    )
    def test_unavailable(self, status: int, value: str | None, wait: float | None) -> None:
        """The wait that a 503 asks for is on its error; other failures ask for none."""
        headers = {} if value is None else {"retry_after": value}
        error = refused(an_answer(b"", status, **headers))
        assert isinstance(error, InternalServerError)
        assert error.retry_after == wait

    def test_retry_after(self) -> None:
        """A 429 carries its Retry-After, or None."""
        error = refused(an_answer(refusal(971, "Please wait"), 429, retry_after="17"))
        assert isinstance(error, RateLimitError)
        assert error.retry_after == 17.0
        silent = refused(an_answer(refusal(971, "Please wait"), 429))
        assert isinstance(silent, RateLimitError)
        assert silent.retry_after is None


class TestSecrets:
    @pytest.mark.parametrize("status", [200, 400, 502])
    @pytest.mark.parametrize(
        "body",
        [
            f"<pre>Authorization: Bearer {TOKEN}</pre>".encode(),
            json.dumps(refusal(12002, f"Bearer {TOKEN} is no good")).encode(),
            b"x" * 290 + TOKEN.encode(),
            b"\xff" * 290 + TOKEN.encode(),
        ],
        ids=["HTML", "JSON", "on the cut", "after binary"],
    )
    def test_echo(self, body: bytes, status: int) -> None:
        """A secret that the server echoes is blotted out of message, body and details."""
        error = refused(an_answer(body, status), secrets=(TOKEN,))
        shown = f"{error!r} {error} {vars(error)}"
        assert TOKEN[:8] not in shown
        assert "***" in shown

    def test_escaped(self) -> None:
        r"""A secret is found also where the server's JSON escapes characters, as some do with `/`."""
        secret = "abc/def"
        body = b'{"success": false, "errors": [{"code": 1, "message": "token abc\\/def is bad"}]}'
        error = refused(an_answer(body, 400), secrets=(secret,))
        assert secret not in f"{error} {vars(error)}"

    def test_cut_by_the_reader(self) -> None:
        """No half of a secret is left when it stands across the part of the body that is looked at."""
        for start in range(4700, 4820):
            error = refused(an_answer(b" " * start + TOKEN.encode(), 502), secrets=(TOKEN,))
            assert TOKEN[:8] not in f"{error} {vars(error)}", start

    def test_answer_repr(self) -> None:
        """An answer keeps body and headers out of `repr`, and so out of tracebacks that show locals."""
        assert TOKEN not in repr(an_answer(TOKEN.encode(), x_echo=TOKEN))


class TestRedaction:
    """What a server echoes is redacted by where it stands, so that no ordinary message is mangled."""

    @pytest.mark.parametrize(
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
        """A token that reads like a word is redacted where tokens stand, any other wherever it stands."""
        assert redact(text, (token,)) == shown

    @given(st.integers(0, 2**32))
    def test_real(self, seed: int) -> None:
        """What is random like a real token is redacted in the middle of anything."""
        token = "".join(Random(seed).choices(ascii_letters + digits, k=40))  # noqa: S311  # no secret
        assert token not in redact(f"x{token}y={token}%20{token}", (token,))

    @pytest.mark.parametrize("value", [f"Bearer {TOKEN}", TOKEN, "a" * 21, "a b", "", "a-b-c"])
    def test_ray(self, value: str) -> None:
        """What can't be a ray id is not shown as one."""
        assert refused(an_answer(b"", 502, cf_ray=value)).ray_id is None  # type: ignore[attr-defined]


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0.0),
            ("30", 30.0),
            (" 30 ", 30.0),
            ("1.5", 1.5),
            ("300", 300.0),
            ("-5", 0.0),
            ("", None),
            ("soon", None),
            ("inf", None),
            ("nan", None),
            ("1e999", None),
            ("9" * 400, None),
            ("Wed, 99 Foo 2026 07:28:00 GMT", None),
            ("Wed, 21 Oct 99999 07:28:00 GMT", None),
        ],
    )
    def test_number(self, value: str, seconds: float | None) -> None:
        """Seconds are read as a number, not below zero; what can't be read is None."""
        assert retry_after(CIMultiDict({"retry-after": value})) == seconds

    def test_absent(self) -> None:
        """Without the header it is None."""
        assert retry_after(CIMultiDict()) is None

    @pytest.mark.parametrize(
        ("until", "seconds"),
        [
            ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
            ("Wed, 21 Oct 2026 07:28:30 -0000", 30.0),
            ("Wed, 21 Oct 2026 09:29:00 +0200", 60.0),
            ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
        ],
        ids=["GMT", "no zone", "other zone", "past"],
    )
    def test_date(self, until: str, seconds: float) -> None:
        """A date is measured by the server's own clock, where it shows."""
        headers = {"Retry-After": until, "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}
        assert retry_after(CIMultiDict(headers)) == seconds

    @pytest.mark.parametrize("date", [None, "", "yesterday"])
    def test_date_alone(self, date: str | None) -> None:
        """Without a Date that can be read, the machine's clock serves."""
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
        headers = {"Retry-After": until} | ({} if date is None else {"Date": date})
        seconds = retry_after(CIMultiDict(headers))
        assert seconds is not None
        assert 90 < seconds <= 100

    @pytest.mark.parametrize(
        ("ahead", "seconds"), [(-3600, 0.0), (3600, None), (310, None)], ids=["past", "an hour", "a block"]
    )
    def test_wrong_clock(self, ahead: float, seconds: float | None) -> None:
        """A date alone, against a clock that may be wrong, is no longer wait than the API's own block."""
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
        assert retry_after(CIMultiDict({"Retry-After": until})) == seconds

    @given(st.text(), st.text())
    @example("Wed, 21 Oct 0000 07:28:00 GMT", "")
    @example("Wed, 21 Oct 2026 07:28:00 +9999", "Wed, 21 Oct 2026 07:28:00 -9999")
    def test_anything(self, value: str, date: str) -> None:
        """No text, however odd, is more than a wait that can't be read."""
        seconds = retry_after(CIMultiDict({"Retry-After": value, "Date": date}))
        assert seconds is None or 0 <= seconds < float("inf")


class TestAllowances:
    @pytest.mark.parametrize(
        ("left", "policy", "read"),
        [
            ('"default";r=50;t=30', None, {"default": Allowance(50, 30.0)}),
            ('"default";r=50;t=30', '"burst";q=100;w=60', {"default": Allowance(50, 30.0)}),
            ('"user";r=0;t=300', '"user";q=1200;w=300', {"user": Allowance(0, 300.0, 1200, 300.0)}),
            ('"user"; r=7 ;t=3', '"user" ;q=9; w=60', {"user": Allowance(7, 3.0, 9, 60.0)}),
            (
                '"a";r=1;t=2, "b";r=3;t=4',
                '"b";q=5;w=6,"a";q=7',
                {"a": Allowance(1, 2.0, 7, None), "b": Allowance(3, 4.0, 5, 6.0)},
            ),
            ('"a";t=2.5;r=1;z=9', "", {"a": Allowance(1, 2.5)}),
            ('"a";r=1;t=2', '"a";w=60', {"a": Allowance(1, 2.0, None, 60.0)}),
            (r'"with \"quotes\"";r=1;t=2', "", {r"with \"quotes\"": Allowance(1, 2.0)}),
            ('"a, b";r=1;t=2', "", {"a, b": Allowance(1, 2.0)}),
            ('"a";r=1', '"a";q=1;w=1', {}),
            ('"a";t=1', "", {}),
            ("r=1;t=2", "", {}),
            ("", "", {}),
            ("lots", "none", {}),
            (None, '"a";q=1;w=1', {}),
        ],
        ids=[
            "documented",
            "documented, other policy",
            "same policy",
            "spaces",
            "two",
            "order, fraction, more",
            "no quota",
            "quotes",
            "comma in the name",
            "no time",
            "no count",
            "no name",
            "empty",
            "prose",
            "absent",
        ],
    )
    def test_read(self, left: str | None, policy: str | None, read: Mapping[str, Allowance]) -> None:
        """The items of Ratelimit are read, and quota and window of the policy with the same name."""
        headers = CIMultiDict[str]()
        if left is not None:
            headers["ratelimit"] = left
        if policy is not None:
            headers["ratelimit-policy"] = policy
        assert allowances(headers) == read

    def test_lines(self) -> None:
        """A list may come in several lines, which are one."""
        headers = CIMultiDict(
            [
                ("Ratelimit", '"a";r=1;t=2'),
                ("ratelimit", '"b";r=3;t=4'),
                ("Ratelimit-Policy", '"a";q=7'),
                ("Ratelimit-Policy", '"b";q=5;w=6'),
            ]
        )
        assert allowances(headers) == {"a": Allowance(1, 2.0, 7, None), "b": Allowance(3, 4.0, 5, 6.0)}

    @pytest.mark.parametrize("odd", [r"\"", '"a";', '"a" ', '"\\', ";a", '"a";a.'], ids=repr)
    def test_linear(self, odd: str) -> None:
        """A long header takes time in proportion to its length."""
        began = time.process_time()
        allowances(CIMultiDict({"Ratelimit": '"' + odd * 100_000}))
        assert time.process_time() - began < 1.0

    @given(st.text(), st.text())
    @example(f'"a";r={"9" * 400};t=1', "")
    @example('"a";r=1;t=1', f'"a";q={"9" * 400};w=1')
    @example(f'"a";r=1;t={"9" * 400}', "")
    @example('"' * 5000, "")
    @example('"a"' + ";" * 5000, "")
    def test_anything(self, left: str, policy: str) -> None:
        """No text, however odd, is more than an allowance that can't be read, or has no end."""
        for said in allowances(CIMultiDict({"Ratelimit": left, "Ratelimit-Policy": policy})).values():
            assert said.left >= 0
            assert 0 <= said.reset < float("inf")


class TestPaths:
    @pytest.mark.parametrize(
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

    @pytest.mark.parametrize("value", ["", ".", "..", "a/b", "../x", "/", "\\", "a\\b"])
    def test_refused(self, value: str) -> None:
        """What is empty or would leave its place in the path is refused, by name."""
        with pytest.raises(ValueError, match="can't be an id") as caught:
            segment(value)
        assert repr(value) in str(caught.value)

    @pytest.mark.parametrize("value", [None, 1, b"a"])
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
        """A bulk look-up takes a comma list of encoded ids."""
        assert id_list(["a", "b c", "é"]) == "a,b%20c,%C3%A9"
        assert id_list([]) == ""

    @pytest.mark.parametrize(
        ("value", "why"), [("a,b", "it contains a comma"), ("..", "empty or"), ("", "empty or")]
    )
    def test_id_list_refused(self, value: str, why: str) -> None:
        """An id that would be two, or none, is refused."""
        with pytest.raises(ValueError, match=why):
            id_list(["ok", value])

    def test_query(self) -> None:
        """Parameters are encoded, also opaque ones, and those that are None left out."""
        assert query(page=1, cursor="a+b/c=&d", none=None) == "page=1&cursor=a%2Bb%2Fc%3D%26d"
        assert query() == query(cursor=None) == ""
        assert query(cursor="") == "cursor="
