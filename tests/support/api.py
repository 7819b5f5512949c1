"""Aiohttp mocked below our transport, for status, headers and sequences of responses."""

import asyncio
from inspect import signature
from types import SimpleNamespace
from typing import Any, Self
from unittest.mock import patch

from aiohttp import ClientResponse, ClientSession
from aioresponses import aioresponses
from yarl import URL

from tests.support.bodies import ACCOUNT, BASE_URL

_WRITER: dict[str, Any] = (
    {"stream_writer": SimpleNamespace(output_size=0)}
    if "stream_writer" in signature(ClientResponse.__init__).parameters
    else {}
)


class _Response(ClientResponse):
    """Since aiohttp 3.14 a response requires a `stream_writer`, which aioresponses up to 0.7.9 omits.

    See pnuckowski/aioresponses#289. Remove `_WRITER` when a release has the fix.
    """

    def __init__(self, *args: Any, loop: Any, **kwargs: Any) -> None:
        loop.get_debug.return_value = False  # debug mode keeps each response's whole stack: milliseconds
        super().__init__(*args, loop=loop, **_WRITER, **kwargs)  # type: ignore[misc]


class MockApi(aioresponses):
    """The API behind a mocked `ClientSession`: each `on` is one response, returned in order for its path.

    `sent` has the requests as (method, path below the account with its query), in order. A request without a
    response from `on` fails like a refused connection.
    """

    def __init__(self, base_url: str = BASE_URL, account: str = ACCOUNT) -> None:
        super().__init__()
        self.base = f"{base_url}/accounts/{account}"
        self.sent: list[tuple[str, str]] = []
        self._shim = patch("aioresponses.core.ClientResponse", _Response)

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def start(self) -> None:
        # Not `super().start()`: its `autospec` inspects aiohttp anew for each test, which takes milliseconds.
        self._responses = []
        self._matches = {}
        answer = self._request_mock

        async def request(session: ClientSession, *args: Any, **kwargs: Any) -> ClientResponse:
            return await answer(session, *args, **kwargs)

        self._replaced = patch.object(ClientSession, "_request", request)
        self._replaced.start()
        self._shim.start()

    def stop(self) -> None:
        self._shim.stop()
        self._replaced.stop()
        for response in self._responses:
            response.close()
        self.clear()

    def on(self, method: str, path: str, json: Any = None, **kwargs: Any) -> None:
        """Add the next response to `method` on `path` below the account: `json`, or aioresponses keywords."""
        if json is not None:
            kwargs["payload"] = json
        self.add(self.base + path, method=method, **kwargs)

    async def match(self, method: str, url: URL, *args: Any, **kwargs: Any) -> ClientResponse | None:
        self.sent.append((method, str(url).removeprefix(self.base)))
        await asyncio.sleep(0)  # like a network, it lets other tasks run meanwhile
        return await super().match(method, url, *args, **kwargs)
