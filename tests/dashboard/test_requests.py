"""The requests that the dashboard serves, and their headers."""

import logging
from uuid import UUID

import aiohttp
import pytest

from builds_async.dashboard import server as dashboard
from builds_async.simulator import BuildsSimulator
from tests.dashboard.support import serving


@pytest.mark.parametrize(
    "path", ["", "app.js", "style.css", "icon.svg", "workers", "logs/x", "app.py", "nothing"]
)
async def test_headers(sim: BuildsSimulator, url: str, http: aiohttp.ClientSession, path: str) -> None:
    """Every response forbids foreign code and caching, and none has the token."""
    async with http.get(url + path) as response:
        assert response.status == (404 if path in {"app.py", "nothing"} else 200)
        assert dashboard.HEADERS.items() <= dict(response.headers).items()
        assert "'unsafe-" not in response.headers["Content-Security-Policy"]
        body = await response.content.readany()
        assert sim.api_token.encode() not in body


FOREIGN = {
    "another site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "another port of this host": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    "another origin": {"Origin": "https://evil.example"},
    "no origin": {"Origin": "null"},
}


OWN = {
    "no browser": {},
    "the page": {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
    "the address bar": {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
}


LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        *(pytest.param(headers, 403, id=name) for name, headers in FOREIGN.items()),
        *(pytest.param(headers, 200, id=name) for name, headers in OWN.items()),
    ],
)
@pytest.mark.parametrize("path", ["", "workers"])
async def test_foreign_pages_load_nothing(
    path: str, headers: dict[str, str], status: int, url: str, http: aiohttp.ClientSession
) -> None:
    """A request from a foreign page is refused before it costs an API call."""
    async with http.get(url + path, headers=headers) as response:
        assert response.status == status


@pytest.mark.parametrize(("path", "status"), [("", 200), ("workers", 403), ("logs/x", 403)])
async def test_other_sites_may_link_only_to_the_page(
    path: str, status: int, url: str, http: aiohttp.ClientSession
) -> None:
    """A link from another site may open the page, but not a stream, which would cost API calls."""
    async with http.get(url + path, headers=LINK) as response:
        assert response.status == status


@pytest.mark.parametrize(("path", "status"), [("", 200), ("app.js", 200), ("workers", 405), ("logs/x", 405)])
async def test_head_has_no_body(path: str, status: int, url: str, http: aiohttp.ClientSession) -> None:
    """HEAD describes a file and opens no stream."""
    async with http.head(url + path) as response:
        assert (response.status, await response.read()) == (status, b"")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8642", 200),
        ("localhost:80", 200),
        ("[::1]:8642", 200),
        ("rebound.example", 421),
        ("127.0.0.1.rebound.example:8642", 421),
        ("localhost.rebound.example", 421),
        ("", 421),
    ],
)
@pytest.mark.parametrize("path", ["", "workers"])
async def test_foreign_host_names_are_refused(
    url: str, http: aiohttp.ClientSession, path: str, host: str, status: int
) -> None:
    """A foreign host name that points to this address is refused."""
    async with http.get(url + path, headers={"Host": host}) as response:
        assert response.status == status


async def test_token(sim: BuildsSimulator) -> None:
    """A server with a token serves nothing without it; its address sets a cookie that scripts can't read."""
    jar = aiohttp.CookieJar(unsafe=True)  # addresses have cookies, too
    async with serving(sim, token="t&ken") as url, aiohttp.ClientSession(cookie_jar=jar) as http:
        bare = url.partition("?")[0]
        for path in (
            "",
            "app.js",
            "workers",
            f"logs/{UUID(int=1)}",
            "?token=",
            "?token=t%26ke",
            "?token=%ff",
        ):
            async with http.get(bare + path) as response:
                assert (path, response.status) == (path, 401)
        async with http.get(url, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/")
            cookie = response.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
        async with http.get(bare + "app.js") as response:
            assert response.status == 200
        async with http.get(bare, headers={"Sec-Fetch-Site": "cross-site", "Origin": "http://a"}) as response:
            assert response.status == 403


async def test_token_is_never_exposed(sim: BuildsSimulator, caplog: pytest.LogCaptureFixture) -> None:
    """The token is in no log record, body, header or address that the page or a link would pass on."""
    caplog.set_level(logging.DEBUG)
    jar = aiohttp.CookieJar(unsafe=True)  # addresses have cookies, too
    build = sim.add_finished_build()
    async with serving(sim, token="s3cr3t") as url, aiohttp.ClientSession(cookie_jar=jar) as http:
        bare = url.partition("?")[0]
        async with http.get(url) as response:
            assert str(response.url) == bare
            assert response.headers["Referrer-Policy"] == "no-referrer"
        for path in ("", "app.js", f"logs/{build.build_uuid}", f"builds/{build.build_uuid}/links", "nothing"):
            async with http.get(bare + path) as response:
                assert "s3cr3t" not in await response.text() + str(response.headers)
        async with http.get(bare + "?token=s3cr3") as response:
            assert "s3cr3" not in await response.text()
    assert "s3cr3t" not in caplog.text
