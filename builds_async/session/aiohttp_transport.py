"""The only file that uses aiohttp: it sends a `Request`, and returns a `Response` or raises our own error."""

import asyncio
import os
import ssl
import traceback
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from threading import get_ident
from typing import TypedDict

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from builds_async._version import __version__
from builds_async.errors import (
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
    ConfigurationError,
    ResponseDecodeError,
    is_transient,
)
from builds_async.session.headers import ray_id
from builds_async.session.proxy import proxy_for
from builds_async.session.redact import Secret, redact
from builds_async.session.transport import Request, Response

MAX_BODY = 64 * 1024 * 1024
"""The largest body of a success (2xx) in bytes. The rest of a larger one is not read."""

MAX_REFUSAL = 1024 * 1024
"""The maximum number of bytes that are read of any other body. The rest is dropped with its connection."""

_HEADERS = {"User-Agent": f"builds-async/{__version__}", "Accept": "application/json"}


class _RequestOptions(TypedDict, total=False):
    allow_redirects: bool
    timeout: aiohttp.ClientTimeout
    raise_for_status: bool
    proxy_headers: Mapping[str, str]


class AiohttpTransport:
    """Sends requests over an `aiohttp.ClientSession`, its own or a borrowed one.

    The headers of a request are sent to `base_url`, and nowhere else. They are not defaults of the session,
    so neither a proxy nor another user of the session gets them. Redirects are not followed.

    The transport's own session is created at the first request, inside the running loop, and closed with the
    transport. A borrowed session is never closed. Its settings for proxy, TLS and tracing apply, and so do
    its default headers. If a kept-alive connection of a borrowed session breaks, aiohttp itself repeats the
    request, unless it is a POST or PATCH. The timeout is always that of this transport.

    `secrets` are redacted in the texts of aiohttp's errors, because a server may have echoed them.

    Raises ConfigurationError if the proxy of the environment or the borrowed session can't be used, and
    RuntimeError when it is closed, or used in another event loop or without one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        session: aiohttp.ClientSession | None,
        timeout: float,
        secrets: Sequence[str] = (),
    ) -> None:
        self._base_url = base_url
        self._client_timeout = aiohttp.ClientTimeout(total=timeout)
        # Our own session has the constant options as its defaults, which is cheaper. A borrowed session must
        # not be changed, so it gets them with each request.
        self._options: _RequestOptions = {"allow_redirects": False}
        if session is not None:
            self._options |= {"timeout": self._client_timeout, "raise_for_status": False}
        self._proxy = None if session is not None else proxy_for(URL(base_url))
        if self._proxy is not None and self._proxy.headers:
            self._options["proxy_headers"] = CIMultiDict(self._proxy.headers)
        self._borrowed = session
        self._session: aiohttp.ClientSession | None = None  # set at the first request, in its event loop
        self._loop: asyncio.AbstractEventLoop | None = None  # of the first use
        self._thread = 0  # the thread that runs the loop
        self._timeout = timeout
        self._secrets = secrets
        self._closed = False

    async def send(self, request: Request) -> Response:
        """Send a request, and return the complete response, whatever its status. No error shows its secrets.

        One timeout covers the connection, the headers and the body.
        """
        session, loop = self._session, self._loop
        # A thread runs one event loop at a time. So if ours is running and this is its thread, it is the
        # running loop. Before Python 3.12, asking asyncio would cost each request a system call.
        if session is None or loop is None or self._thread != get_ident() or not loop.is_running():
            session = self._open_session()
        headers = request.headers
        if self._borrowed is not None:
            headers = {**_HEADERS, **headers}
        if request.body is not None:
            headers = {**headers, "Content-Type": "application/json"}
        options = self._options
        if request.timeout is not None:
            options = {**options, "timeout": aiohttp.ClientTimeout(total=request.timeout)}
        place = f"{request.path}?{request.query}" if request.query else request.path
        if request.secrets:
            place = Secret(place)
        try:
            response = await session.request(
                request.method,
                URL(self._base_url + place, encoded=True),
                headers=headers,
                data=request.body,
                **options,
            )
            content = response.content
            limit = MAX_BODY if 200 <= response.status < 300 else MAX_REFUSAL
            # Most bodies arrive together with their headers. Then aiohttp has already released the
            # connection, and the context manager, which costs time, is not needed.
            if content.is_eof() and content.total_bytes <= limit:
                body = content.read_nowait()
            else:
                async with response:
                    body = await _read_bounded(response, limit)
            return Response(response.status, response.headers, body)
        except asyncio.CancelledError as error:
            if request.secrets:
                response = content = None  # type: ignore[assignment]
                raise error.with_traceback(None)  # noqa: B904  # the same error without its frames
            raise
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, RuntimeError, BuildsError) as error:
            failure: Exception = self._our_error(error, request)
            cause = self._cause(error, request.secrets)
        # Raised outside the handler, so that its context is not aiohttp's error, whose frames have the URL.
        # The response is dropped, because some tools show the local variables of a traceback.
        response = content = None  # type: ignore[assignment]
        raise failure from cause

    def _our_error(self, error: Exception, request: Request) -> Exception:
        """Our error for an error of aiohttp."""
        if isinstance(error, ResponseDecodeError):  # it is our own already
            return error.with_traceback(None)
        if isinstance(error, TimeoutError):  # first: ServerTimeoutError is a ClientError as well
            limit = request.timeout or self._timeout
            return BuildsTimeoutError(
                f"no complete response within {limit:g} s; raise `timeout` or check the network"
            )
        if isinstance(error, aiohttp.ClientError | OSError):
            return _failure(error, self._secrets, confidential=bool(request.secrets))
        if isinstance(error, ValueError):  # after ClientError: InvalidURL is both
            return _unusable(self._borrowed)
        return self._misuse(error)

    def _cause(self, error: Exception, secrets: Sequence[str]) -> Exception | None:
        """`error`, or None if it may show a secret: in the URL, or in a text that the server has echoed.

        An error of a borrowed session may show the URL of its proxy, with the password.
        """
        if secrets or isinstance(error, ResponseDecodeError):
            return None  # its frames and its response have the URL, even if its text does not
        if self._borrowed is not None and _may_have_proxy(self._borrowed):
            return None
        shown = "".join(traceback.format_exception(error))
        return None if redact(shown, self._secrets) != shown else error

    def _misuse(self, error: Exception) -> RuntimeError:
        """Our error for a RuntimeError of aiohttp."""
        if self._borrowed is not None and self._borrowed.closed:
            return RuntimeError(
                "Session is closed: the aiohttp.ClientSession that was passed to this BuildsClient was closed"
                " by its owner; keep it open for as long as the client is used"
            )
        if self._borrowed is not None:
            return RuntimeError(
                "the aiohttp.ClientSession that was passed to this BuildsClient can't be used here: make it"
                f" in the event loop that uses it ({error})"
            )
        return RuntimeError(f"this BuildsClient can't be used here: {error}")

    async def aclose(self) -> None:
        """Close the session if it is our own. Every later request is a RuntimeError."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None and self._borrowed is None:
            await session.close()

    def check_open(self) -> None:
        """Raise RuntimeError if the transport was closed, or belongs to another event loop."""
        if self._closed:
            raise RuntimeError(_CLOSED)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(_NO_LOOP) from None
        # aiohttp may not notice another loop, if the first one is running in another thread.
        if self._loop is not loop:
            if self._loop is not None:
                raise RuntimeError(_OTHER_LOOP)
            self._loop, self._thread = loop, get_ident()

    def _open_session(self) -> aiohttp.ClientSession:
        self.check_open()
        if self._session is None:
            self._session = (
                self._new_session()
                if self._borrowed is None
                else _checked_session(self._borrowed, URL(self._base_url))
            )
        return self._session

    def _new_session(self) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # max_in_flight is the bound
            headers=_HEADERS,
            timeout=self._client_timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=None if self._proxy is None else self._proxy.url,
        )
        # When a kept-alive connection breaks, aiohttp repeats a GET, PUT or DELETE by itself, and has no
        # option against it. Here every request counts, in the budget and in `attempts`, so this is switched
        # off by the attribute that aiohttp's own tests use (3.11 to 3.14). If a release drops or renames it,
        # a client still works: the line sets an unused attribute, and a broken connection costs one request
        # that is not counted. Two tests would fail: one looks for the attribute in a new session, the other
        # counts the requests over a connection that a server breaks.
        session._retry_connection = False  # noqa: SLF001
        return session


_CLOSED = "this BuildsClient is closed; make a new one"
_NO_LOOP = (
    "a BuildsClient needs a running asyncio event loop, and there is none here: use it in a coroutine that"
    " asyncio.run() runs (trio has no such loop)"
)
_OTHER_LOOP = (
    "this BuildsClient was first used in another event loop, and its connections belong to that one: make a"
    " client in each event loop, inside the coroutine that asyncio.run() runs"
)


async def _read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The decompressed body. If it is larger than `limit`, the connection is dropped.

    Of a refusal, the start is returned, which is enough for its error. A success is useless without its end,
    so it is an error.
    """
    content = response.content
    chunk = await content.readany()
    if content.at_eof() and len(chunk) <= limit:
        return chunk
    chunks, size = [chunk], len(chunk)
    if limit == MAX_REFUSAL or (response.content_length or 0) <= limit:
        while size <= limit:
            chunk = await content.readany()
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
            size += len(chunk)
    response.close()
    if limit == MAX_REFUSAL:
        return b"".join(chunks)[:limit]
    raise ResponseDecodeError(
        f"the response ({response.status}) is larger than {MAX_BODY // 2**20} MiB",
        status=response.status,
        ray_id=ray_id(response.headers),
    )


def _failure(
    error: aiohttp.ClientError | OSError, secrets: Iterable[str], *, confidential: bool
) -> BuildsError:
    """Our error for a network error. Secrets in its text are redacted, because a server may have sent it.

    For a `confidential` call the text is not shown at all.
    """
    if isinstance(error, aiohttp.InvalidURL):
        return ConfigurationError(
            "the request can't be sent: the URL of a proxy, or base_url, can't be used (it is not shown);"
            " check the proxy of the session and HTTPS_PROXY"
        )
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _refused_by_proxy(error.status)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ServerFingerprintMismatch):
        return _not_connected(error)
    # The text of a response error has a URL. If a proxy sent the response, that is the proxy's URL with its
    # password.
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    said = "not shown" if confidential else redact(text, secrets)
    # A payload error is a ClientError, but not a ClientConnectionError.
    if isinstance(error, aiohttp.ClientPayloadError):
        return BuildsConnectionError(f"the response was cut short ({said})")
    return BuildsConnectionError(f"the connection failed ({type(error).__name__}: {said})")


def _not_connected(
    error: aiohttp.ClientConnectorError | aiohttp.ServerFingerprintMismatch,
) -> BuildsConnectionError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ServerFingerprintMismatch):
        return BuildsConnectionError(_untrusted(error), sent=False, transient=False)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return BuildsConnectionError(
            f"could not connect to the proxy ({_reason(error)}); check HTTPS_PROXY, and that the proxy runs",
            sent=False,
        )
    return BuildsConnectionError(
        f"could not connect ({_reason(error)}); check the network, DNS, proxy and base_url", sent=False
    )


def _reason(error: aiohttp.ClientConnectorError) -> str:
    """The host and the system's text, without aiohttp's own notation."""
    cause = error.os_error
    if isinstance(cause, ssl.SSLError):  # its `errno` is an OpenSSL number
        said = cause.reason or str(cause)
    elif cause.errno and cause.errno > 0:  # asyncio replaces the system's text with the address
        said = os.strerror(cause.errno)
    else:  # the name was not found, or there were several addresses
        said = cause.strerror or str(cause)
    return f"{error.host}:{error.port}: {said}"


def _refused_by_proxy(status: int) -> BuildsConnectionError:
    """The error for a proxy that opens no tunnel. The API got no request. The proxy's text is not shown."""
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    said = f"the proxy responded with {status}{phrase}"
    if status == 407:
        return BuildsConnectionError(
            f"{said}: it requires a user and a password; set HTTPS_PROXY to http://user:password@host:port,"
            " with special characters percent-encoded",
            sent=False,
            transient=False,
        )
    transient = is_transient(status)
    advice = "try again later" if transient else "check HTTPS_PROXY, and what the proxy allows"
    return BuildsConnectionError(f"{said}; {advice}", sent=False, transient=transient)


def _untrusted(error: aiohttp.ClientConnectorCertificateError | aiohttp.ServerFingerprintMismatch) -> str:
    place = f"{error.host}:{error.port}"
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return f"the certificate of {place} does not have the fingerprint that the session expects"
    cause = error.certificate_error
    why = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else type(cause).__name__
    return (
        f"the certificate of {place} is not trusted ({why}): set SSL_CERT_FILE to a PEM file with the"
        " certificate authorities to trust (your company's or proxy's among them), install ca-certificates,"
        " or check base_url and the clock of this machine"
    )


def _unusable(session: aiohttp.ClientSession | None) -> ConfigurationError:
    """Our error for aiohttp's ValueError before a request. Its text is not shown: it may have a password."""
    if session is None:
        return ConfigurationError("the request can't be sent: check base_url and HTTPS_PROXY")
    return ConfigurationError(
        "the request can't be sent over the aiohttp.ClientSession that was passed: it has credentials of its"
        " own (auth=, or a netrc file with trust_env=True), which conflict with those of the client, or a"
        " proxy whose URL can't be used; leave out auth= and the netrc entry for the API, and check its proxy"
    )


def _checked_session(session: aiohttp.ClientSession, url: URL) -> aiohttp.ClientSession:
    """A borrowed session, checked before its first request."""
    if session.auth is not None:
        raise _unusable(session)
    # Plain http is allowed to loopback only. A proxy would read the token, and send it to its own loopback.
    if url.scheme == "http" and _has_proxy(session, url):
        raise ConfigurationError(
            f"the aiohttp.ClientSession that was passed sends plain http to {url.host} through a proxy, which"
            f" would read the token: make it without that proxy, or set NO_PROXY={url.host}"
        )
    return session


def _has_proxy(session: aiohttp.ClientSession, url: URL) -> bool:
    if not _may_have_proxy(session):
        return False
    if _proxy_of(session) is not None:
        return True
    return url.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(url.host or "")


def _may_have_proxy(session: aiohttp.ClientSession) -> bool:
    return session.trust_env or _proxy_of(session) is not None


def _proxy_of(session: aiohttp.ClientSession) -> object:
    return getattr(session, "_default_proxy", None)  # aiohttp has no public name for it
