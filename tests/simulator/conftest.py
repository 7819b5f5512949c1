"""What the tests of the simulator share: a virtual clock, and a way to ask without a socket."""

from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from builds_async.simulator import Answer, BuildsSimulator, Request, VirtualClock


class Door:
    """Asks a simulator in process, with its own token unless told otherwise."""

    def __init__(self, sim: BuildsSimulator) -> None:
        self._sim = sim

    def __call__(
        self,
        path: str,
        *,
        method: str = "GET",
        account: str | None = None,
        headers: dict[str, str] | None = None,
        **query: object,
    ) -> Answer:
        """The answer for a path below `builds/` of the account."""
        account = self._sim.account_id if account is None else account
        target = f"/client/v4/accounts/{account}/builds/{path}"
        if query:
            target += "?" + urlencode(query)
        known = {"authorization": f"Bearer {self._sim.api_token}"} if headers is None else headers
        return self._sim.answer(Request(method=method, target=target, headers=known))

    def body(self, path: str, **query: Any) -> Any:
        """The whole decoded body."""
        return msgspec.json.decode(self(path, **query).body)

    def result(self, path: str, **query: Any) -> Any:
        """The `result` of an answer that must be a success."""
        answer = self(path, **query)
        assert answer.status == 200, answer
        return msgspec.json.decode(answer.body)["result"]

    def error(self, path: str, **query: Any) -> tuple[int, int]:
        """Status and code of an answer that must be a refusal."""
        answer = self(path, **query)
        body = msgspec.json.decode(answer.body)
        assert (body["success"], body["result"], body["messages"]) == (False, None, [])
        return answer.status, body["errors"][0]["code"]


@pytest.fixture
def clock() -> VirtualClock:
    """A clock whose time passes at once."""
    return VirtualClock()


@pytest.fixture
def door() -> type[Door]:
    """`door(sim)` asks a simulator without a socket."""
    return Door
