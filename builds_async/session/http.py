"""The only file that touches aiohttp: bytes out, an `Answer` in, or one of our connection errors."""

import traceback
import urllib.request
from collections.abc import Mapping, Sequence
from typing import TypedDict

import aiohttp
from yarl import URL

from builds_async.errors import BuildsConnectionError, BuildsTimeoutError, ResponseDecodeError
from builds_async.session.settings import is_loopback
from builds_async.session.wire import Answer, Request, Secret, blot, ray_id

MAX_BODY = 64 * 1024 * 1024
"""The largest body that is read, in bytes; a larger one is refused without being held."""


_CREDENTIALS = frozenset({"Authorization", "X-Auth-Email", "X-Auth-Key"})


class _RequestOptions(TypedDict, total=False):
    allow_redirects: bool
    headers: dict[str, str]
    timeout: aiohttp.ClientTimeout
    raise_for_status: bool
    data: bytes


class HttpTransport:
    """Sends requests over an `aiohttp.ClientSession`, its own or a borrowed one.

    Its own is made at the first request, inside the running loop, and closed with the transport. A
    borrowed one is never closed, and its proxy, TLS and tracing settings hold, as do its own default headers
    and aiohttp's habit of sending all but POST and PATCH once more when a kept connection breaks. The time
    limit and the refusal of redirects are this transport's in both cases.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        session: aiohttp.ClientSession | None,
        timeout: float,
        secrets: Sequence[str] = (),
    ) -> None:
        self._base_url = base_url
        self._headers = dict(headers)
        self._client_timeout = aiohttp.ClientTimeout(total=timeout)
        # What our own session has for defaults a borrowed one is told with each request.
        self._options: _RequestOptions = {"allow_redirects": False}
        if session is not None:
            self._options |= {
                "headers": self._headers,
                "timeout": self._client_timeout,
                "raise_for_status": False,
            }
        self._session = session
        self._owns_session = session is None
        self._anonymous: aiohttp.ClientSession | None = None
        self._proxy: str | None = None
        self._timeout = timeout
        self._secrets = secrets
        self._closed = False

    async def send(self, request: Request) -> Answer:
        """One request and its whole answer, whatever the status; no error tells its secrets.

        Connect, headers and body share one time limit.
        """
        session = self._open_session()
        options = self._options if request.body is None else self._with_body(request.body)
        if request.anonymous:
            session, options = self._without_token(session, options)
        place = f"{request.path}?{request.query}" if request.query else request.path
        if request.secrets:
            place = Secret(place)
        try:
            async with session.request(
                request.method, URL(self._base_url + place, encoded=True), **options
            ) as response:
                content = response.content
                # Most bodies are here already: they came with their headers.
                whole = content.is_eof() and content.total_bytes <= MAX_BODY
                body = content.read_nowait() if whole else await _read_bounded(response, self._secrets)
                return Answer(response.status, response.headers, body)
        except TimeoutError as error:  # first: ServerTimeoutError is a ClientError as well
            raise BuildsTimeoutError(
                f"no whole answer within {self._timeout:g} s; raise `timeout` or check the network"
            ) from self._cause(error, request.secrets)
        except aiohttp.ClientError as error:
            failure = _connection_error(error, (*self._secrets, *request.secrets))
            raise failure from self._cause(error, request.secrets)

    def _cause(self, error: Exception, secrets: Sequence[str]) -> Exception | None:
        """`error`, unless it tells a secret: one in its URL, or that the server has echoed."""
        return None if _tells(error, (*self._secrets, *secrets)) else error

    def _with_body(self, body: bytes) -> "_RequestOptions":
        headers = {**self._options.get("headers", {}), "Content-Type": "application/json"}
        return {**self._options, "headers": headers, "data": body}

    def _without_token(
        self, session: aiohttp.ClientSession, options: "_RequestOptions"
    ) -> tuple[aiohttp.ClientSession, "_RequestOptions"]:
        """A borrowed session is just not told of the token; our own has a twin on the same connections."""
        headers = {name: it for name, it in self._headers.items() if name not in _CREDENTIALS}
        if not self._owns_session:
            return session, {**options, "headers": headers}
        if self._anonymous is None:
            self._anonymous = self._new_session(headers, session.connector)
        return self._anonymous, options

    async def aclose(self) -> None:
        """Close the session, if it is our own. Every later request is a RuntimeError."""
        self._closed = True
        if self._anonymous is not None:
            await self._anonymous.close()
        if self._session is not None and self._owns_session:
            await self._session.close()

    def check_open(self) -> None:
        """RuntimeError if the transport was closed."""
        if self._closed:
            raise RuntimeError("this BuildsClient is closed; make a new one")

    def _open_session(self) -> aiohttp.ClientSession:
        self.check_open()
        if self._session is None:
            self._proxy = _proxy(URL(self._base_url))
            if self._proxy is not None:
                user = URL(self._proxy)
                self._secrets = (*self._secrets, *filter(None, (user.password, user.raw_password)))
            self._session = self._new_session(self._headers)
        return self._session

    def _new_session(
        self, headers: Mapping[str, str], connector: aiohttp.BaseConnector | None = None
    ) -> aiohttp.ClientSession:
        """A session with these headers; it leaves a given `connector` open when it is closed."""
        session = aiohttp.ClientSession(
            connector=connector or aiohttp.TCPConnector(limit=0),  # max_in_flight is the bound
            connector_owner=connector is None,
            headers=headers,
            timeout=self._client_timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._proxy,
        )
        # aiohttp sends a GET again by itself when a connection breaks, and has no option for it. Here
        # every request counts, in the budget and in `attempts`.
        session._retry_connection = False  # noqa: SLF001
        return session


async def _read_bounded(response: aiohttp.ClientResponse, secrets: Sequence[str]) -> bytes:
    """The body, decompressed. What is larger than `MAX_BODY` drops the connection."""
    content = response.content
    chunk = await content.readany()
    if content.at_eof() and len(chunk) <= MAX_BODY:
        return chunk
    chunks, size = [chunk], len(chunk)
    if (response.content_length or 0) <= MAX_BODY:
        while size <= MAX_BODY:
            chunk = await content.readany()
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
            size += len(chunk)
    response.close()
    raise ResponseDecodeError(
        f"the answer ({response.status}) is larger than {MAX_BODY // 2**20} MiB",
        status=response.status,
        ray_id=ray_id(response.headers, secrets),
    )


def _connection_error(error: aiohttp.ClientError, secrets: Sequence[str]) -> BuildsConnectionError:
    said = blot(str(error), secrets)
    # A payload error is a ClientError, but no ClientConnectionError.
    if isinstance(error, aiohttp.ClientPayloadError):
        return BuildsConnectionError(f"the answer was cut short ({said})")
    if isinstance(error, aiohttp.ClientConnectorError):
        return BuildsConnectionError(
            f"could not connect ({said}); check the network, DNS, proxy and base_url", sent=False
        )
    return BuildsConnectionError(f"the connection failed ({type(error).__name__}: {said})")


def _tells(error: BaseException, secrets: Sequence[str]) -> bool:
    """Whether the traceback of `error` would show one of the secrets."""
    shown = "".join(traceback.format_exception(error))
    return any(secret in shown for secret in secrets)


def _proxy(url: URL) -> str | None:
    """The proxy that the environment names for `url`, read once: aiohttp's `trust_env` looks per request."""
    host = url.host or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(url.scheme)
