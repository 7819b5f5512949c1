"""Account, credentials and base URL: arguments first, then the environment, else a ConfigurationError."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from builds_async import BuildsClient, BuildsError, ConfigurationError
from builds_async.session.credentials import Settings, resolve
from builds_async.session.hosts import is_loopback
from builds_async.session.redact import Secret
from tests.support import ACCOUNT, BASE_URL, TOKEN
from tests.support.case import cases

NO_CREDENTIALS = (
    "no credentials: pass api_token or set CLOUDFLARE_API_TOKEN (or CLOUDFLARE_API_KEY and CLOUDFLARE_EMAIL)"
)
ENVIRONMENT = {"CLOUDFLARE_ACCOUNT_ID": "e" * 32, "CLOUDFLARE_API_TOKEN": "env-token"}
PAIR = {"CLOUDFLARE_API_KEY": "env-key", "CLOUDFLARE_EMAIL": "env@example.com"}


def settings(environ: dict[str, str] | None = None, **arguments: Any) -> Settings:
    """The settings resolved from these arguments and this environment."""
    names = ("account_id", "api_token", "api_key", "api_email", "base_url")
    return resolve(**{name: arguments.get(name) for name in names}, environ=environ or {})


def mistake(environ: dict[str, str] | None = None, **arguments: Any) -> str:
    """The error message for these arguments and this environment."""
    with pytest.raises(ConfigurationError) as caught:
        settings(environ, **arguments)
    assert (caught.value.method, caught.value.attempts) == ("", 0)
    return caught.value.message


class TestCredentials:
    def test_token(self) -> None:
        """A token is sent as a bearer token."""
        assert settings(account_id=ACCOUNT, api_token=TOKEN).credentials == {
            "Authorization": f"Bearer {TOKEN}"
        }

    def test_pair(self) -> None:
        """A global key is sent with its email address and without a bearer token."""
        headers = settings(account_id=ACCOUNT, api_key="k", api_email="a@example.com").credentials
        assert (headers["X-Auth-Key"], headers["X-Auth-Email"]) == ("k", "a@example.com")
        assert "Authorization" not in headers

    @cases(
        ("environ", "arguments", "sent"),
        [
            (ENVIRONMENT, {}, {"Authorization": "Bearer env-token"}),
            (ENVIRONMENT, {"api_token": "t"}, {"Authorization": "Bearer t"}),
            (PAIR, {}, {"X-Auth-Key": "env-key", "X-Auth-Email": "env@example.com"}),
            (PAIR, {"api_key": "k"}, {"X-Auth-Key": "k", "X-Auth-Email": "env@example.com"}),
            (PAIR, {"api_email": "a@b.c"}, {"X-Auth-Key": "env-key", "X-Auth-Email": "a@b.c"}),
            (ENVIRONMENT | PAIR, {}, {"Authorization": "Bearer env-token"}),
            (
                ENVIRONMENT,
                {"api_key": "k", "api_email": "a@b.c"},
                {"X-Auth-Key": "k", "X-Auth-Email": "a@b.c"},
            ),
            (PAIR, {"api_token": "t"}, {"Authorization": "Bearer t"}),
            (
                {"CLOUDFLARE_API_TOKEN": ""} | PAIR,
                {},
                {"X-Auth-Key": "env-key", "X-Auth-Email": "env@example.com"},
            ),
        ],
        ids=[
            "token of the environment",
            "passed token wins",
            "pair of the environment",
            "passed key wins",
            "passed address wins",
            "token before pair",
            "passed pair before token of the environment",
            "passed token before pair of the environment",
            "empty token is none",
        ],
    )
    def test_order(self, environ: dict[str, str], arguments: dict[str, str], sent: dict[str, str]) -> None:
        """Arguments override the environment, and a token overrides a key."""
        headers = settings(environ, account_id=ACCOUNT, **arguments).credentials
        assert {
            name: headers[name] for name in headers if name in {"Authorization", "X-Auth-Key", "X-Auth-Email"}
        } == sent

    @pytest.mark.parametrize("written", [f"{TOKEN}\n", f"  {TOKEN}\r\n"])
    def test_pasted(self, written: str) -> None:
        """Whitespace around a token, common in files, is stripped."""
        assert (
            settings(account_id=ACCOUNT, api_token=written).credentials["Authorization"] == f"Bearer {TOKEN}"
        )

    @cases("bad", ["to ken", "to\nken", "to\r\nX-Evil: 1", "tökén", "to\x00ken", "to\tken"])
    @cases(
        ("name", "more", "variable"),
        [
            ("api_token", {}, "CLOUDFLARE_API_TOKEN"),
            ("api_key", {"api_email": "a@b.c"}, "CLOUDFLARE_API_KEY"),
            ("api_email", {"api_key": "k"}, "CLOUDFLARE_EMAIL"),
        ],
    )
    def test_bad_characters(self, name: str, more: dict[str, Any], variable: str, bad: str) -> None:
        """A value with characters that a header can't contain is rejected by name and not shown."""
        said = mistake(account_id=ACCOUNT, **(more | {name: bad}))
        assert said == f"{name} ({variable}) has characters that it can't contain"

    @cases(
        ("written", "said"),
        [
            (f"\ufeff{TOKEN}", "a byte order mark"),
            (f"Bearer {TOKEN}", "`Bearer`"),
            (f"\u201c{TOKEN}\u201d", "quotes"),
            (f"export CLOUDFLARE_API_TOKEN={TOKEN}", "NAME=value"),
        ],
        ids=["byte order mark", "Bearer", "curly quotes", "assignment"],
    )
    def test_damage(self, written: str, said: str) -> None:
        """A value that a header can't contain is rejected with a recognizable cause and not shown."""
        message = mistake(account_id=ACCOUNT, api_token=written)
        assert said in message
        assert TOKEN not in message

    @cases(
        ("environ", "arguments", "said"),
        [
            (
                {},
                {},
                NO_CREDENTIALS,
            ),
            (
                {"CLOUDFLARE_API_TOKEN": " ", "CLOUDFLARE_API_KEY": ""},
                {},
                NO_CREDENTIALS,
            ),
            (
                {},
                {"api_key": "k"},
                "a global key goes with an email address: pass api_email or set CLOUDFLARE_EMAIL",
            ),
            (
                {},
                {"api_email": "e"},
                "a global key goes with an email address: pass api_key or set CLOUDFLARE_API_KEY",
            ),
            (
                {"CLOUDFLARE_EMAIL": "e"},
                {},
                "a global key goes with an email address: pass api_key or set CLOUDFLARE_API_KEY",
            ),
        ],
        ids=["nothing", "blank variables", "no address", "no key", "no key in the environment"],
    )
    def test_missing(self, environ: dict[str, str], arguments: dict[str, str], said: str) -> None:
        """A missing credential is named, with its argument and its variable."""
        assert mistake(environ, account_id=ACCOUNT, **arguments) == said

    @cases("blank", ["", " ", "\n"], ids=repr)
    @cases("name", ["api_token", "api_key", "api_email"])
    def test_empty(self, name: str, blank: str) -> None:
        """An empty argument, such as an unset CI secret, is not replaced by another credential."""
        said = mistake(ENVIRONMENT | PAIR, account_id=ACCOUNT, **{name: blank})
        assert said == f"{name} is empty: pass a value, or None to read it from the environment"

    def test_secrets(self) -> None:
        """The settings list the token or key as a secret, so that it can be redacted."""
        assert settings(account_id=ACCOUNT, api_token=TOKEN).secrets == (TOKEN,)
        assert settings(account_id=ACCOUNT, api_key="k", api_email="e").secrets == ("k",)

    def test_out_of_repr(self) -> None:
        """The repr of the settings shows no secret."""
        assert TOKEN not in repr(settings(account_id=ACCOUNT, api_token=TOKEN))
        assert "env-key" not in repr(settings(PAIR, account_id=ACCOUNT))
        assert repr(Secret(TOKEN)) == "'***'"


class TestAccount:
    def test_order(self) -> None:
        """The argument overrides the environment."""
        assert settings(ENVIRONMENT, account_id=ACCOUNT).account_id == ACCOUNT
        assert settings(ENVIRONMENT).account_id == "e" * 32
        assert settings(api_token=TOKEN, account_id=f" {ACCOUNT}\n").account_id == ACCOUNT

    @pytest.mark.parametrize("environ", [{}, {"CLOUDFLARE_ACCOUNT_ID": " "}], ids=["unset", "blank"])
    def test_missing(self, environ: dict[str, str]) -> None:
        """A missing account is named, with its argument and its variable."""
        assert mistake(environ, api_token=TOKEN) == "no account: pass account_id or set CLOUDFLARE_ACCOUNT_ID"

    @cases(
        "account", ["..", "a/b", "my-account", ACCOUNT[1:], f"{ACCOUNT}0", f"g{ACCOUNT[1:]}", TOKEN, "٣" * 32]
    )
    def test_refused(self, account: str) -> None:
        """An invalid account id is rejected and not shown, because it may be a misplaced token."""
        said = mistake(api_token=TOKEN, account_id=account)
        assert said.startswith("account_id (CLOUDFLARE_ACCOUNT_ID) must be 32 hex digits; this one has ")
        assert account not in said

    @cases("pasted", [ACCOUNT.upper(), f"{ACCOUNT[:8]}-{ACCOUNT[8:]}", f"{ACCOUNT[:16]} {ACCOUNT[16:]}\n"])
    def test_pasted(self, pasted: str) -> None:
        """A pasted id with dashes, spaces or capitals is the same account."""
        assert settings(api_token=TOKEN, account_id=pasted).account_id == ACCOUNT


class TestBaseUrl:
    @cases(
        ("environ", "argument", "used"),
        [
            ({}, None, BASE_URL),
            ({"CLOUDFLARE_BASE_URL": ""}, None, BASE_URL),
            ({"CLOUDFLARE_BASE_URL": "https://env.example/v4/"}, None, "https://env.example/v4"),
            ({"CLOUDFLARE_BASE_URL": "https://env.example"}, "https://arg.example/", "https://arg.example"),
            ({}, "https://example.com:8443/a/b//", "https://example.com:8443/a/b"),
            ({}, " https://example.com\n", "https://example.com"),
        ],
        ids=["default", "empty", "environment", "argument", "path and port", "space"],
    )
    def test_order(self, environ: dict[str, str], argument: str | None, used: str) -> None:
        """The argument overrides the environment, and that the default; a trailing slash is dropped."""
        assert settings(environ, account_id=ACCOUNT, api_token=TOKEN, base_url=argument).base_url == used

    @cases(
        "url",
        [
            "http://127.0.0.1:8080/client/v4",
            "http://127.8.9.10",
            "http://localhost:1",
            "http://LOCALHOST:1",
            "http://[::1]:8080/v4",
            "HTTP://127.0.0.1",
        ],
    )
    def test_loopback(self, url: str) -> None:
        """Plain http is accepted for this machine."""
        assert settings(account_id=ACCOUNT, api_token=TOKEN, base_url=url).base_url == url

    @cases(
        ("url", "host"),
        [
            ("http://api.cloudflare.com/client/v4", "api.cloudflare.com"),
            ("http://localhost.evil.example", "localhost.evil.example"),
            ("http://127.0.0.1.evil.example", "127.0.0.1.evil.example"),
            ("http://10.0.0.1", "10.0.0.1"),
            ("http://0.0.0.0", "0.0.0.0"),  # noqa: S104  # nobody binds
            ("http://[::]", "::"),
            ("http://[fe80::1]", "fe80::1"),
            ("http://169.254.169.254", "169.254.169.254"),
            ("http://2130706433", "2130706433"),
            ("HTTP://evil.example", "evil.example"),
        ],
    )
    def test_plain_http(self, url: str, host: str) -> None:
        """Plain http to any other machine is rejected, because the token would be readable in transit."""
        assert mistake(account_id=ACCOUNT, api_token=TOKEN, base_url=url) == (
            f"base_url (CLOUDFLARE_BASE_URL) must be https, not plain http to {host}:"
            " others could read the token on the way"
        )

    @cases(
        "url",
        [
            "ftp://example.com",
            "example.com",
            "//example.com",
            "https://",
            "https:///v4",
            "x",
            "http://[::1",
            "https://a:b",
            "https://a:99999",
            "https://a:0",
            "https://a..b",
            f"https://{'a' * 64}.example",
            "file:///etc",
        ],
    )
    def test_not_a_url(self, url: str) -> None:
        """A value that is not an http URL is rejected, with an example."""
        assert mistake(account_id=ACCOUNT, api_token=TOKEN, base_url=url) == (
            f"base_url (CLOUDFLARE_BASE_URL) must be an https URL such as {BASE_URL}"
        )

    @cases(
        "url",
        [
            "https://u@example.com",
            "https://u:p@example.com",
            "https://:p@example.com",
            "https://example.com/?a=1",
            "https://example.com/#a",
            "http://127.0.0.1@evil.example",
        ],
    )
    def test_more_than_a_base(self, url: str) -> None:
        """A base URL with a user, a query or a fragment is rejected."""
        said = mistake(account_id=ACCOUNT, api_token=TOKEN, base_url=url)
        assert said == "base_url (CLOUDFLARE_BASE_URL) must have no user, query or fragment"

    @cases(
        "url",
        [
            "https://exa mple.com",
            "https://example.com/a b",
            "https://example.com/a\r\nHost: evil.example",
            "https://example.com\\evil.example",
            "http://[::1]evil.example",
            "http://[::1].evil.example",
            "https://[::1]evil.example/v4",
        ],
    )
    def test_unusable(self, url: str) -> None:
        """An unusable base URL is rejected when the client is created, not at the first call."""
        assert "base_url" in mistake(account_id=ACCOUNT, api_token=TOKEN, base_url=url)

    @given(
        st.sampled_from(["http", "https", "HTTP"]),
        st.text(alphabet="http:/[]@\\.#?1270lcaosevi%\t\n \u2028", max_size=30) | st.text(max_size=10),
    )
    @example("https", "[:.]")
    @example("https", "[::1]:0")
    @example("https", "1.2.3.4.5")
    def test_same_host(self, scheme: str, rest: str) -> None:
        """An accepted base URL is usable, and plain http connects only to a loopback host."""
        try:
            base = settings(account_id=ACCOUNT, api_token=TOKEN, base_url=f"{scheme}://{rest}").base_url
        except ConfigurationError:
            return
        url = URL(base + "/accounts", encoded=True)
        assert url.host
        assert url.scheme == "https" or is_loopback(url.host)


class TestClient:
    def test_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A client needs no arguments when the environment is complete."""
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", "https://env.example/v4")
        assert (
            repr(BuildsClient())
            == f"BuildsClient(account_id='{'e' * 32}', base_url='https://env.example/v4')"
        )

    def test_configuration_error(self) -> None:
        """A missing setting raises a BuildsError when the client is created."""
        with pytest.raises(BuildsError, match="CLOUDFLARE_API_TOKEN"):
            BuildsClient(account_id=ACCOUNT)
        with pytest.raises(ConfigurationError, match="CLOUDFLARE_ACCOUNT_ID"):
            BuildsClient(api_token=TOKEN)
