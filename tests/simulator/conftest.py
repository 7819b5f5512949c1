"""Fixtures of the simulator's tests: a virtual clock, and requests without a socket."""

from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from builds_async.simulator import BuildsSimulator, Request, Response, VirtualClock


class Door:
    """Sends requests to a simulator in process, by default with its own token."""

    def __init__(self, sim: BuildsSimulator) -> None:
        self._sim = sim

    def __call__(
        self,
        path: str,
        *,
        method: str = "GET",
        account: str | None = None,
        headers: dict[str, str] | None = None,
        body: object = None,
        **query: object,
    ) -> Response:
        """The response to a path below `builds/` of the account, or with a leading slash below the account.

        A full path is used unchanged. A body is sent as JSON, except for bytes.
        """
        account = self._sim.account_id if account is None else account
        below = path if path.startswith("/") else f"/builds/{path}"
        target = path if path.startswith("/client/") else f"/client/v4/accounts/{account}{below}"
        if query:
            target += "?" + urlencode(query)
        known = {"authorization": f"Bearer {self._sim.api_token}"} if headers is None else headers
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        return self._sim.answer(Request(method=method, target=target, headers=known, body=data))

    def body(self, path: str, **query: Any) -> Any:
        """The whole decoded body."""
        return msgspec.json.decode(self(path, **query).body)

    def result(self, path: str, **query: Any) -> Any:
        """The `result` of a response that must be a success."""
        response = self(path, **query)
        assert response.status in {200, 201}, response
        return msgspec.json.decode(response.body)["result"]

    def error(self, path: str, **query: Any) -> tuple[int, int]:
        """Status and code of a response that must be a refusal."""
        response = self(path, **query)
        body = msgspec.json.decode(response.body)
        assert (body["success"], body["result"], body["messages"]) == (False, None, [])
        return response.status, body["errors"][0]["code"]


@pytest.fixture
def sim(clock: VirtualClock) -> BuildsSimulator:
    """A simulator on the virtual clock."""
    return BuildsSimulator(clock=clock)


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that passes simulated time at once."""
    return VirtualClock()


@pytest.fixture
def door() -> type[Door]:
    """`door(sim)` sends requests to a simulator without a socket."""
    return Door
