"""From a response to an error: its kind, its message, and its advice."""

import json

from builds_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ErrorDetail,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from tests.support import ACCOUNT, TOKEN, refusal
from tests.support.case import Case, cases
from tests.support.operations import OPERATIONS
from tests.support.reading import RAY, a_response, refused
from tests.support.schema import PUBLISHED

HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>cloudflare</body>\r\n</html>\r\n"


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
    @cases(
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
    def test_status(self, body: object, errors: tuple[ErrorDetail, ...]) -> None:
        """The status alone decides the kind of a refusal, whatever its body is."""
        for status, kind in KINDS.items():
            with Case(status):
                error = refused(a_response(body, status, CF_RAY=RAY))
                assert type(error) is kind
                assert isinstance(error, APIError)
                assert error.message.startswith(f"{status} ")
                assert error.message.endswith(f" (cf-ray {RAY})")
                assert (error.status, error.errors, error.ray_id) == (status, errors, RAY)

    @cases("status", [200, 201])
    @cases(
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
        """`success: false` with a 2xx status is a refusal of the kind that its code names."""
        error = refused(a_response(refusal(code, "so it is"), status))
        assert type(error) is kind
        assert isinstance(error, APIError)
        assert "so it is" in error.message
        assert (error.status, error.errors) == (status, (ErrorDetail(code=code, message="so it is"),))

    @cases("result", ["gone", {"a": 1}, [], 1, None], ids=repr)
    def test_success_false_with_result(self, result: object) -> None:
        """`success: false` is a refusal, whatever its `result` is."""
        body = {**refusal(12000, "Not found"), "result": result}
        assert type(refused(a_response(body))) is NotFoundError

    def test_message(self) -> None:
        """The message has the status, the text and code of every error, and advice."""
        body = refusal(12013, "Invalid query parameter", (12002, "Invalid request body"))
        error = refused(a_response(body, 400))
        assert error.message == (
            "400 Invalid query parameter [12013]; Invalid request body [12002]. Change the request"
        )
        assert isinstance(error, APIError)
        assert error.codes == (12013, 12002)

    def test_not_json(self) -> None:
        """The message of a refusal that is not the API's JSON quotes the start of the body on one line."""
        error = refused(a_response(HTML, 502))
        assert error.message == (
            "502 not the API's JSON, the page says '502 Bad Gateway cloudflare'. Cloudflare failed to process"
            " the request; try again later"
        )

    def test_empty(self) -> None:
        """The message of an empty refusal says that the body is empty."""
        assert refused(a_response(b"", 503)).message.startswith("503 the body is empty. ")

    def test_long(self) -> None:
        """Long error texts are truncated in the message."""
        error = refused(a_response(refusal(12002, "x" * 5000), 400))
        assert len(error.message) < 700

    @cases(
        ("status", "body", "said"),
        [
            (401, refusal(12006, "Invalid token"), "the Builds API takes user-owned tokens only"),
            (401, refusal(12005, "Missing token from authorization header"), "CLOUDFLARE_API_TOKEN"),
            (404, refusal(12000, "Not found"), "a Worker's id is its tag (32 hex digits), not its name"),
            (403, HTML, "a firewall or a proxy"),
            (429, refusal(971, "Please wait"), "1,200 requests per 5 minutes"),
            (302, b"", "Redirects are not followed"),
            (500, HTML, "try again later"),
        ],
        ids=["account-owned", "no token", "not found", "firewall", "limited", "redirect", "5xx"],
    )
    def test_advice(self, status: int, body: object, said: str) -> None:
        """The message says what the caller can do."""
        assert said in refused(a_response(body, status)).message

    @cases(
        ("method", "api", "dashboard"),
        [
            ("GET", "Read", "Read"),
            ("PUT", "Write", "Edit"),
            ("POST", "Write", "Edit"),
            ("DELETE", "Write", "Edit"),
        ],
    )
    def test_permission(self, method: str, api: str, dashboard: str) -> None:
        """A 403 with code 10000 names the missing permission by each of its names."""
        error = refused(a_response(refusal(10000, "Authentication error"), 403), method=method)
        assert isinstance(error, PermissionDeniedError)
        assert error.codes == (10000,)
        for name in (
            f'"Workers CI {api}"',
            f'"Workers Builds Configuration: {dashboard}"',
            f'"Workers Builds: {dashboard}"',
            '"workers_ci"',
        ):
            assert name in error.message

    def test_permission_of_each_operation(self) -> None:
        """A 403 names the permission that its operation needs."""
        for name, operation in OPERATIONS.items():
            if not operation.permission:
                continue
            published = PUBLISHED[name]
            path = published.path.format(account_id=ACCOUNT, **operation.names)
            response = a_response(refusal(10000, "Authentication error"), 403)
            error = refused(response, method=published.method, path=path)
            with Case(name):
                assert f'"{operation.permission}"' in error.message

    @cases("errors", [None, "text", [], {"code": 1}, [None], [1, []], 7], ids=repr)
    def test_odd_errors(self, errors: object) -> None:
        """Errors of an unknown shape are still a refusal, and the message shows the body."""
        body = {"success": False, "errors": errors}
        error = refused(a_response(body, 404))
        assert isinstance(error, NotFoundError)
        assert error.errors == ()
        assert json.dumps(errors) in error.message

    def test_odd_entries(self) -> None:
        """The readable part of an odd entry is kept, and the other entries are unaffected."""
        entries = ["text", {"code": "12006", "message": None}, None, {"message": "a", "code": 1.5}]
        error = refused(a_response({"success": False, "errors": entries}, 401))
        assert isinstance(error, AuthenticationError)
        assert error.errors == (
            ErrorDetail(message="text"),
            ErrorDetail(code=12006),
            ErrorDetail(message="a"),
        )
        assert error.message.startswith("401 text; [12006]; a. The token is wrong or expired")

    def test_details_tolerated(self) -> None:
        """New fields of an error are ignored, and a missing code is None."""
        body = {"success": False, "errors": [{"message": "a", "documentation_url": "u"}, {"code": 5}]}
        error = refused(a_response(body, 400))
        assert isinstance(error, APIError)
        assert error.errors == (ErrorDetail(message="a"), ErrorDetail(code=5))

    def test_no_ray(self) -> None:
        """Without a `cf-ray` header, neither the error nor its message has a ray id."""
        error = refused(a_response(refusal(12000, "Not found"), 404))
        assert isinstance(error, APIError)
        assert error.ray_id is None
        assert "cf-ray" not in error.message

    @cases(
        ("method", "status", "advice"),
        [
            ("GET", 500, "try again later"),
            ("POST", 500, "check whether it took effect before you repeat it"),
            ("PUT", 503, "check whether it took effect before you repeat it"),
            ("DELETE", 502, "check whether it took effect before you repeat it"),
            ("POST", 409, "Read the present state before you try again"),
        ],
    )
    def test_advice_after_a_failure(self, method: str, status: int, advice: str) -> None:
        """The advice is to check whether a failed write took effect, and to repeat a failed read."""
        assert advice in str(refused(a_response(b"", status), method=method))

    def test_a_limited_deploy_hook(self) -> None:
        """A hook is triggered without a token, so its 429 names the limit of hooks, not of the user."""
        limited = a_response(refusal(12051, "Rate limit exceeded"), 429, retry_after="60")
        error = refused(limited, method="POST", path="/workers/builds/deploy_hooks/***")
        assert isinstance(error, RateLimitError)
        assert "10 builds a minute for one Worker, and 100 for the account; wait 60 s" in error.message
        assert "user" not in error.message

    @cases(
        ("status", "value", "wait"),
        [(503, "6", 6.0), (503, "soon", None), (503, None, None), (500, "6", None)],
    )
    def test_unavailable(self, status: int, value: str | None, wait: float | None) -> None:
        """A 503's error carries the requested wait; other failures carry none."""
        headers = {} if value is None else {"retry_after": value}
        error = refused(a_response(b"", status, **headers))
        assert isinstance(error, InternalServerError)
        assert error.retry_after == wait

    def test_retry_after(self) -> None:
        """A 429's error carries its Retry-After, or None."""
        error = refused(a_response(refusal(971, "Please wait"), 429, retry_after="17"))
        assert isinstance(error, RateLimitError)
        assert error.retry_after == 17.0
        silent = refused(a_response(refusal(971, "Please wait"), 429))
        assert isinstance(silent, RateLimitError)
        assert silent.retry_after is None


class TestSecrets:
    @cases("status", [200, 400, 502])
    @cases(
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
        """A secret that the server echoes is redacted from the message, body and details."""
        error = refused(a_response(body, status), secrets=(TOKEN,))
        shown = f"{error!r} {error} {vars(error)}"
        assert TOKEN[:8] not in shown
        assert "***" in shown

    def test_escaped(self) -> None:
        r"""A secret is found even if the server's JSON escapes its characters, such as `/`."""
        secret = "abc/def"
        body = b'{"success": false, "errors": [{"code": 1, "message": "token abc\\/def is bad"}]}'
        error = refused(a_response(body, 400), secrets=(secret,))
        assert secret not in f"{error} {vars(error)}"

    def test_cut_by_the_reader(self) -> None:
        """A secret that straddles the end of the inspected part of the body leaves no fragment."""
        for start in range(4700, 4820):
            error = refused(a_response(b" " * start + TOKEN.encode(), 502), secrets=(TOKEN,))
            assert TOKEN[:8] not in f"{error} {vars(error)}", start

    def test_response_repr(self) -> None:
        """The repr of a response omits its body and headers, and so do tracebacks with locals."""
        assert TOKEN not in repr(a_response(TOKEN.encode(), x_echo=TOKEN))


def test_a_character_reference_hides_no_secret() -> None:
    """Character references in a page are resolved before its secrets are redacted."""
    secret = "cfut_" + "s" * 35
    page = f"<html><p>&#99;{secret[1:]} and {secret}</p>".encode()
    error = refused(a_response(page, 502))
    assert "the page says" in error.message
    assert secret[5:] not in error.message
