"""`client.diagnose()` reports problems of a token or an account without raising or writing."""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from aiohttp import ClientConnectionError

from builds_async import BuildsClient, Observation, RetryPolicy
from builds_async.models.diagnosis import CredentialKind, Diagnosis, Finding
from builds_async.session.transport import Request, Response
from builds_async.simulator import BuildsSimulator, Fault, FaultKind, TokenKind, VirtualClock
from tests.support import ACCOUNT, FakeClock, MockApi, RawServer, answer, envelope, raw, refusal
from tests.support.case import cases

SECRET = "Zq8Yx7Wv6Ut5Sr4Qp3On2Ml1Kj0Ih9Gf8Ed7Cb"
USER, OWNED, OAUTH, PLAIN = f"cfut_{SECRET}", f"cfat_{SECRET}", f"cfoat_{SECRET}", SECRET
PROBES = ("limits", "verify", "scripts", "queues")

Json = dict[str, Any]
Reply = tuple[int, Any]

MINUTES = {"has_reached_build_minutes_limit": False, "build_minutes_refresh_on": "2026-12-01T00:00:00Z"}
GOOD: dict[str, Reply] = {
    "limits": (200, envelope(MINUTES)),
    "verify": (200, envelope({"id": "ed17574386854bf78a67040be0a770b0", "status": "active"})),
    "scripts": (200, envelope([])),
    "queues": (200, envelope([])),
}
WRONG: Reply = (401, refusal(12006, "Invalid token"))
WRONG_ROOT: Reply = (401, refusal(1000, "Invalid API Token"))
WRONG_SCRIPTS: Reply = (401, refusal(10000, "Authentication error"))
FORBIDDEN: Reply = (403, refusal(10000, "Authentication error"))
NO_ROUTE: Reply = (
    400,
    refusal(7003, "Could not route to /accounts/x, perhaps your object identifier is invalid?"),
)
NO_ROUTE_404: Reply = (404, refusal(7003, "Could not route to /accounts/x"))
BAD_HEADER: Reply = (400, refusal(6003, "Invalid request headers"))
DOWN: Reply = (502, b"<html>")
BLOCKED: Reply = (403, b"<html>Sorry, you have been blocked")
LIMITED: Reply = (429, refusal(971, "Please wait"))
ALL_WRONG = {"limits": WRONG, "verify": WRONG_ROOT, "scripts": WRONG_SCRIPTS, "queues": WRONG_SCRIPTS}


def status(word: str | None, **more: Any) -> Reply:
    return 200, envelope({"id": "i", "status": word, **more})


def every(reply: Reply) -> dict[str, Reply]:
    return dict.fromkeys(PROBES, reply)


class Cloud:
    """A transport that answers the diagnosis's requests only, or raises the error `raises`."""

    def __init__(self, replies: Mapping[str, Reply], raises: Exception | None = None) -> None:
        self.replies = {**GOOD, **replies}
        self.raises = raises
        self.sent: list[tuple[str, str]] = []

    async def send(self, request: Request) -> Response:
        assert request == Request("GET", request.path, request.query, headers=request.headers)
        assert "token" not in request.query
        probe = {
            "/user/tokens/verify": "verify",
            f"/accounts/{ACCOUNT}/builds/account/limits": "limits",
            f"/accounts/{ACCOUNT}/workers/scripts-search": "scripts",
            f"/accounts/{ACCOUNT}/event_subscriptions/subscriptions": "queues",
        }[request.path]
        self.sent.append((request.method, probe))
        if self.raises is not None:
            raise self.raises
        code, said = self.replies[probe]
        return Response(code, {}, said if isinstance(said, bytes) else json.dumps(said).encode())

    def check_open(self) -> None:
        """Always open."""

    async def aclose(self) -> None:
        """Nothing to close."""

    def client(self, credentials: Mapping[str, str], retry: RetryPolicy) -> BuildsClient:
        return BuildsClient(
            account_id=ACCOUNT,
            transport=self,
            retry=retry,
            clock=FakeClock(),
            **credentials,  # type: ignore[arg-type]
        )


async def diagnosed(
    credentials: str | Mapping[str, str], replies: Mapping[str, Reply], *, attempts: int = 1
) -> tuple[Diagnosis, Cloud]:
    cloud = Cloud(replies)
    named = {"api_token": credentials} if isinstance(credentials, str) else credentials
    found = await cloud.client(named, RetryPolicy(attempts=attempts)).diagnose()
    return found, cloud


KEY = {"api_key": SECRET, "api_email": "ada@example.com"}
OK, PROBLEM, UNKNOWN = "ok", "problem", "unknown"
KIND = CredentialKind

# Credentials, responses, kind, ok, and the states of credentials, account, builds, scripts and queues.
CASES: dict[str, tuple[Any, dict[str, Reply], CredentialKind, bool, tuple[str, ...]]] = {
    "valid": (USER, {}, KIND.USER_TOKEN, True, (OK, OK, OK, OK, OK)),
    "valid, old": (PLAIN, {}, KIND.USER_TOKEN, True, (OK, OK, OK, OK, OK)),
    "valid, no status": (USER, {"verify": status(None)}, KIND.USER_TOKEN, True, (OK, OK, OK, OK, OK)),
    "account-owned": (
        OWNED,
        {"limits": WRONG, "verify": WRONG_ROOT},
        KIND.ACCOUNT_TOKEN,
        False,
        (PROBLEM, OK, UNKNOWN, OK, OK),
    ),
    "account-owned, old": (
        PLAIN,
        {"limits": WRONG, "verify": WRONG_ROOT, "queues": FORBIDDEN},
        KIND.ACCOUNT_TOKEN,
        False,
        (PROBLEM, OK, UNKNOWN, OK, PROBLEM),
    ),
    "account-owned, accepted in the future": (
        OWNED,
        {"verify": WRONG_ROOT},
        KIND.ACCOUNT_TOKEN,
        True,
        (OK, OK, OK, OK, OK),
    ),
    "OAuth": (OAUTH, {"verify": WRONG_ROOT}, KIND.OAUTH_TOKEN, True, (OK, OK, OK, OK, OK)),
    "OAuth, no builds": (
        OAUTH,
        {"verify": WRONG_ROOT, "limits": FORBIDDEN},
        KIND.OAUTH_TOKEN,
        False,
        (OK, OK, PROBLEM, OK, OK),
    ),
    "OAuth of wrangler, without a prefix": (
        PLAIN,
        {"verify": WRONG_ROOT, "limits": FORBIDDEN},
        KIND.OAUTH_TOKEN,
        False,
        (OK, OK, PROBLEM, OK, OK),
    ),
    "a global key as a token": (
        f"cfk_{SECRET}",
        ALL_WRONG,
        KIND.GLOBAL_KEY,
        False,
        (PROBLEM, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ),
    "OAuth, expired": (
        OAUTH,
        ALL_WRONG,
        KIND.OAUTH_TOKEN,
        False,
        (PROBLEM, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ),
    "wrong": (USER, ALL_WRONG, KIND.USER_TOKEN, False, (PROBLEM, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)),
    "wrong, old": (PLAIN, ALL_WRONG, KIND.UNKNOWN, False, (PROBLEM, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)),
    "expired": (
        USER,
        ALL_WRONG | {"verify": status("expired", expires_on="2026-01-02T03:04:05Z")},
        KIND.USER_TOKEN,
        False,
        (PROBLEM, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ),
    "disabled": (
        USER,
        ALL_WRONG | {"verify": status("disabled")},
        KIND.USER_TOKEN,
        False,
        (PROBLEM, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ),
    "active, but not accepted": (
        USER,
        {"limits": WRONG},
        KIND.USER_TOKEN,
        False,
        (PROBLEM, OK, UNKNOWN, OK, OK),
    ),
    "no builds": (USER, {"limits": FORBIDDEN}, KIND.USER_TOKEN, False, (OK, OK, PROBLEM, OK, OK)),
    "no scripts": (USER, {"scripts": FORBIDDEN}, KIND.USER_TOKEN, True, (OK, OK, OK, PROBLEM, OK)),
    "no queues": (USER, {"queues": FORBIDDEN}, KIND.USER_TOKEN, True, (OK, OK, OK, OK, PROBLEM)),
    "builds only": (
        USER,
        {"scripts": FORBIDDEN, "queues": FORBIDDEN},
        KIND.USER_TOKEN,
        True,
        (OK, OK, OK, PROBLEM, PROBLEM),
    ),
    "nothing, or another account": (
        USER,
        {"limits": FORBIDDEN, "scripts": FORBIDDEN, "queues": FORBIDDEN},
        KIND.USER_TOKEN,
        False,
        (OK, PROBLEM, PROBLEM, PROBLEM, PROBLEM),
    ),
    "account-owned, of another account": (
        OWNED,
        {"limits": WRONG, "verify": WRONG_ROOT, "scripts": FORBIDDEN, "queues": FORBIDDEN},
        KIND.ACCOUNT_TOKEN,
        False,
        (PROBLEM, PROBLEM, UNKNOWN, PROBLEM, PROBLEM),
    ),
    "malformed account": (
        USER,
        {"limits": NO_ROUTE, "scripts": NO_ROUTE, "queues": NO_ROUTE},
        KIND.USER_TOKEN,
        False,
        (OK, PROBLEM, PROBLEM, PROBLEM, PROBLEM),
    ),
    "malformed account, 404": (
        USER,
        {"limits": NO_ROUTE_404, "scripts": NO_ROUTE_404, "queues": NO_ROUTE_404},
        KIND.USER_TOKEN,
        False,
        (OK, PROBLEM, PROBLEM, PROBLEM, PROBLEM),
    ),
    "global key": (KEY, {}, KIND.GLOBAL_KEY, True, (OK, OK, OK, OK, OK)),
    "global key, wrong": (
        KEY,
        ALL_WRONG,
        KIND.GLOBAL_KEY,
        False,
        (PROBLEM, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ),
    "global key, malformed account": (
        KEY,
        {"limits": NO_ROUTE, "scripts": NO_ROUTE, "queues": NO_ROUTE},
        KIND.GLOBAL_KEY,
        False,
        (UNKNOWN, PROBLEM, PROBLEM, PROBLEM, PROBLEM),
    ),
    "firewall": (
        USER,
        every(BLOCKED),
        KIND.USER_TOKEN,
        False,
        (UNKNOWN, PROBLEM, PROBLEM, PROBLEM, PROBLEM),
    ),
    "all down": (USER, every(DOWN), KIND.USER_TOKEN, False, (UNKNOWN, PROBLEM, PROBLEM, PROBLEM, PROBLEM)),
    "builds down": (USER, {"limits": DOWN}, KIND.USER_TOKEN, False, (OK, OK, PROBLEM, OK, OK)),
    "verify down": (USER, {"verify": DOWN}, KIND.USER_TOKEN, True, (OK, OK, OK, OK, OK)),
    "scripts down": (USER, {"scripts": DOWN}, KIND.USER_TOKEN, True, (OK, OK, OK, PROBLEM, OK)),
    "limited on the way": (USER, {"scripts": LIMITED}, KIND.USER_TOKEN, True, (OK, OK, OK, PROBLEM, OK)),
}


READ = ("credentials", "account", "builds", "scripts", "queues")


def by_check(found: Diagnosis) -> dict[str, Finding]:
    checks = {it.check: it for it in found.findings}
    assert len(checks) == len(found.findings)
    return checks


@cases("name", CASES)
async def test_states(name: str) -> None:
    """Each combination of responses determines the kind of the credentials and the findings."""
    credentials, replies, kind, ok, states = CASES[name]
    found, cloud = await diagnosed(credentials, replies)
    checks = by_check(found)
    assert {it: checks[it].state for it in READ} == dict(zip(READ, states, strict=True))
    assert (found.credential_kind, found.ok) == (kind, ok)
    assert found.account_id == ACCOUNT
    assert len(cloud.sent) == (3 if kind == KIND.GLOBAL_KEY else 4)
    assert checks["write"].state == "unknown"
    assert ("build_minutes" in checks) is (states[2] == OK) is (found.limits is not None)


@cases(
    ("reply", "status"),
    [(FORBIDDEN, 403), (DOWN, 502), (LIMITED, 429), (NO_ROUTE, 400)],
    ids=["403", "502", "429", "400"],
)
async def test_status_of_a_refusal(reply: Reply, status: int) -> None:
    """A problem has the HTTP status of its refusal, and a success has none."""
    checks = by_check((await diagnosed(USER, {"scripts": reply}))[0])
    assert {name: it.status for name, it in checks.items() if it.status} == {"scripts": status}


@cases(
    ("replies", "check", "cause", "advice"),
    [
        ({"limits": FORBIDDEN}, "builds", "lacks the permission", "Workers CI Read"),
        ({"scripts": FORBIDDEN}, "scripts", "lacks the permission", "Workers Scripts Read"),
        ({"queues": FORBIDDEN}, "queues", "lacks the permission", "Queues Read"),
        ({"queues": BLOCKED}, "queues", "403", "firewall"),
        (every(FORBIDDEN), "account", "has no access to the account", "includes this account"),
        (every(NO_ROUTE), "account", "There is no account", "CLOUDFLARE_ACCOUNT_ID"),
        (every(DOWN), "account", "502", "Try again later"),
    ],
    ids=["builds", "scripts", "queues", "firewall", "another account", "no account", "down"],
)
async def test_cause_and_advice(replies: dict[str, Reply], check: str, cause: str, advice: str) -> None:
    """A problem has its cause in the message and its remedy in the advice."""
    finding = by_check((await diagnosed(USER, replies))[0])[check]
    assert finding.state == PROBLEM
    assert cause in finding.message
    assert advice in (finding.advice or "")


@pytest.mark.parametrize("token", [OAUTH, PLAIN], ids=["prefix", "no prefix"])
async def test_wrangler_token(token: str) -> None:
    """A token of `wrangler login` can do everything except builds, and the finding says so."""
    checks = by_check((await diagnosed(token, {"verify": WRONG_ROOT, "limits": FORBIDDEN}))[0])
    assert "wrangler login" in checks["builds"].message
    assert "My Profile, API Tokens" in (checks["builds"].advice or "")
    assert checks["builds"].status == 403


@cases("replies", [ALL_WRONG, every(BAD_HEADER)], ids=["wrong", "malformed"])
@cases(
    ("token", "said"),
    [
        (f'"{USER}"', "quotes"),
        (f"'{USER}", "quotes"),
        (f"Bearer{USER}", "`Bearer`"),
        (f"CLOUDFLARE_API_TOKEN={USER}", "NAME=value"),
        (f'CLOUDFLARE_API_TOKEN="{USER}"', "NAME=value"),
        (f"cfk_{SECRET}", "global key"),
        (ACCOUNT.upper(), "account ID"),
    ],
    ids=["quotes", "one quote", "Bearer", "assignment", "quoted assignment", "global key", "account id"],
)
async def test_a_damaged_token(token: str, said: str, replies: dict[str, Reply]) -> None:
    """If the API refuses a damaged token, the finding names the damage and does not show the token."""
    found, _ = await diagnosed(token, replies)
    finding = by_check(found)["credentials"]
    assert (finding.state, said in finding.message) == (PROBLEM, True)
    assert not shows_secret(found)


async def test_a_wrong_key() -> None:
    """The advice for a wrong global key names the variables of the key, not that of a token."""
    finding = by_check((await diagnosed(KEY, ALL_WRONG))[0])["credentials"]
    assert finding.message.startswith("The key and the email address can't be used")
    assert finding.advice.startswith("Check CLOUDFLARE_API_KEY and CLOUDFLARE_EMAIL, or use a token. Create")


async def test_an_odd_token_that_works() -> None:
    """A malformed token that the API accepts is not a problem."""
    checks = by_check((await diagnosed(f"CLOUDFLARE_API_TOKEN={USER}", {}))[0])
    assert checks["credentials"].state == OK


@pytest.mark.parametrize("token", [USER, PLAIN], ids=["user", "old"])
async def test_malformed_token(token: str) -> None:
    """A malformed token is reported as such, and the account is not blamed."""
    checks = by_check((await diagnosed(token, every(BAD_HEADER)))[0])
    assert checks["credentials"].state == PROBLEM
    assert checks["account"].state == UNKNOWN


@cases("name", CASES)
async def test_advice_and_secrecy(name: str) -> None:
    """Each problem has advice, a success has none, and no text contains the token."""
    credentials, replies, _, _, _ = CASES[name]
    found, _ = await diagnosed(credentials, replies)
    for finding in found.findings:
        assert finding.message
        assert finding.advice or finding.state != PROBLEM, finding
        assert not finding.advice or finding.state != OK, finding
    assert not shows_secret(found)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Diagnosis) == found


def shows_secret(*things: object) -> bool:
    text = " ".join(f"{thing!r} {thing}" for thing in things)
    return any(SECRET[start : start + 8] in text for start in range(len(SECRET) - 7))


@cases(
    ("minutes", "state", "said"),
    [
        (MINUTES, OK, "left"),
        ({"has_reached_build_minutes_limit": None, "build_minutes_refresh_on": None}, OK, "left"),
        ({}, OK, "left"),
        (None, OK, "left"),
        ({**MINUTES, "has_reached_build_minutes_limit": True}, PROBLEM, "until 2026-12-01 00:00 UTC"),
        ({"has_reached_build_minutes_limit": True}, PROBLEM, "No build minutes"),
        (
            {
                "has_reached_build_minutes_limit": True,
                "build_minutes_refresh_on": "2026-12-01T01:00:00+02:00",
            },
            PROBLEM,
            "until 2026-11-30 23:00 UTC",
        ),
    ],
    ids=["left", "paid plan", "bare", "null", "none left", "none left, no date", "another zone"],
)
async def test_minutes(minutes: Any, state: str, said: str) -> None:
    """Build minutes are left, or exhausted until a date; paid plans have no limit."""
    found, _ = await diagnosed(USER, {"limits": (200, envelope(minutes))})
    finding = by_check(found)["build_minutes"]
    assert (finding.state, said in finding.message) == (state, True)
    assert found.ok is (state == OK)


@cases("word", ["expired", "disabled", "revoked", "\u202e\x1b[31m"])
async def test_status_of_the_token(word: str) -> None:
    """An inactive token is a problem, reported in the API's own word."""
    found, _ = await diagnosed(USER, ALL_WRONG | {"verify": status(word)})
    finding = by_check(found)["credentials"]
    assert finding.state == PROBLEM
    assert word in finding.message


async def test_expiry_of_the_token() -> None:
    """The finding for a valid token has its expiry date."""
    found, _ = await diagnosed(USER, {"verify": status("active", expires_on="2027-01-02T03:04:05Z")})
    assert "2027-01-02" in by_check(found)["credentials"].message


NETWORK: dict[str, Callable[[MockApi], None]] = {
    "down": lambda api: api.on(
        "GET", "/builds/account/limits", exception=ClientConnectionError("down"), repeat=True
    ),
    "slow": lambda api: api.on("GET", "/builds/account/limits", exception=TimeoutError(), repeat=True),
    "limited": lambda api: api.on(
        "GET", "/builds/account/limits", status=429, headers={"Retry-After": "1"}, repeat=True
    ),
    "blocked for long": lambda api: api.on(
        "GET", "/builds/account/limits", status=429, headers={"Retry-After": "300"}, repeat=True
    ),
    "blocked until when": lambda api: api.on(
        "GET",
        "/builds/account/limits",
        status=429,
        headers={"Retry-After": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"},
        repeat=True,
    ),
}


@pytest.mark.parametrize("how", NETWORK)
async def test_network(how: str, client: BuildsClient, api: MockApi) -> None:
    """A network error or rate limit at the first request is reported, and no other request is sent."""
    NETWORK[how](api)
    found = await client.diagnose()
    assert not found.ok
    (finding,) = found.findings
    assert (finding.check, finding.state) == ("account", PROBLEM)
    assert finding.advice
    assert {path for _, path in api.sent} == {"/builds/account/limits"}
    assert len(api.sent) <= RetryPolicy().attempts


async def test_no_server() -> None:
    """An unreachable host is reported, not raised."""
    async with RawServer(raw(b"")) as server:
        url = server.url
    async with BuildsClient(
        account_id=ACCOUNT, api_token=USER, base_url=url, clock=FakeClock(), retry=RetryPolicy(attempts=2)
    ) as client:
        found = await client.diagnose()
    assert not found.ok
    assert "127.0.0.1" in found.findings[0].message
    assert "connect" in found.findings[1].message


@cases("reply", [b"", b"<html>", b"{}", b"[]", b'"x"', b"\xff\xfe", b"[" * 5000], ids=range(7))
async def test_garbled(reply: bytes) -> None:
    """Unreadable responses are findings, not errors."""
    found, _ = await diagnosed(USER, every((200, reply)))
    assert not found.ok
    assert by_check(found)["builds"].state == PROBLEM


async def test_attempts() -> None:
    """Each request is retried like any other read."""
    found, cloud = await diagnosed(USER, every(DOWN), attempts=3)
    assert not found.ok
    assert len(cloud.sent) == 12


async def test_defects_are_raised() -> None:
    """Errors other than those of the network and the API are raised, such as for a closed client."""
    client = BuildsClient(account_id=ACCOUNT, api_token=USER)
    await client.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await client.diagnose()


async def test_token_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """No finding, log record or observation shows the token, even if the server echoes it."""
    caplog.set_level(logging.DEBUG)
    seen: list[Observation] = []
    replies = [refusal(12006, f"Bearer {USER}"), refusal(1000, USER), refusal(10000, SECRET)]
    async with (
        RawServer(
            *(answer(reply, status=401) for reply in replies), answer(f"<p>{USER}".encode(), status=400)
        ) as server,
        BuildsClient(account_id=ACCOUNT, api_token=USER, base_url=server.url, observer=seen.append) as client,
    ):
        found = await client.diagnose()
    assert not found.ok
    assert len(seen) == 4
    assert not shows_secret(seen, caplog.text, *found.findings[:3], found.findings[4:])


class TestSimulated:
    @pytest.mark.parametrize(
        ("kind", "ok", "problems"),
        [
            (TokenKind.FULL, True, set()),
            (TokenKind.READ_ONLY, True, set()),
            (TokenKind.NO_PERMISSION, False, {"account", "builds", "scripts", "queues"}),
            (TokenKind.NO_SCRIPTS, True, {"scripts"}),
            (TokenKind.NO_QUEUES, True, {"queues"}),
            (TokenKind.ACCOUNT_OWNED, False, {"credentials"}),
            (None, False, {"credentials"}),
        ],
    )
    async def test_tokens(self, kind: TokenKind | None, ok: bool, problems: set[str]) -> None:
        """Each kind of simulated token is diagnosed correctly, and all requests are GETs."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20))
        token = "cfut_nobody-knows-this-token" if kind is None else sim.add_token(kind)
        async with (
            sim,
            BuildsClient(
                account_id=sim.account_id, api_token=token, base_url=sim.url, clock=sim.clock
            ) as client,
        ):
            found = await client.diagnose()
        assert {it.check for it in found.findings if it.state == PROBLEM} == problems
        assert found.ok is ok
        assert {request.method for request in sim.requests} == {"GET"}
        assert len(sim.requests) == 4
        assert token not in repr(found)

    async def test_account(self) -> None:
        """A foreign account and exhausted build minutes are reported, with a token or a global key."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20), api_email="a@b.c", api_key="k" * 37)
        sim.set_limits(reached=True, refresh_on=datetime(2026, 12, 1, tzinfo=UTC))
        async with sim:
            key: dict[str, Any] = {"api_email": "a@b.c", "api_key": "k" * 37}
            for account, credentials, problems in (
                ("f" * 32, {"api_token": sim.api_token}, {"account", "builds", "scripts", "queues"}),
                ("0" * 32, {"api_token": sim.api_token}, {"account", "builds", "scripts", "queues"}),
                (sim.account_id, key, {"build_minutes"}),
            ):
                options: dict[str, Any] = {"account_id": account, **credentials}
                async with BuildsClient(base_url=sim.url, clock=sim.clock, **options) as client:
                    found = await client.diagnose()
                assert {it.check for it in found.findings if it.state == PROBLEM} == problems
                assert not found.ok

    async def test_faults(self) -> None:
        """A single fault changes nothing, because reads are retried."""
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20))
        async with (
            sim,
            BuildsClient(
                account_id=sim.account_id, api_token=sim.api_token, base_url=sim.url, clock=sim.clock
            ) as client,
        ):
            kinds: tuple[FaultKind, ...] = ("reset", "server_error", "rate_limited", "not_json")
            for number, kind in enumerate(kinds):
                sim.fault(Fault(kind, after=number))
                assert (await client.diagnose()).ok
