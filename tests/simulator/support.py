"""Helpers of the simulator's tests."""

from base64 import b64decode
from typing import Any

import msgspec

from builds_async.simulator import BuildsSimulator, Request, SimulatedQueue, TokenKind

UUID = "8d3b7a4e-3c57-4e0a-9a39-0a3f6c0f3b11"
VERIFY = "/client/v4/user/tokens/verify"
REPOSITORY = {
    "provider_type": "github",
    "provider_account_id": "77",
    "provider_account_name": "acme",
    "repo_id": "5",
    "repo_name": "site",
}


def headers(sim: BuildsSimulator, kind: TokenKind) -> dict[str, str]:
    """The headers of a new token of a kind."""
    return {"authorization": f"Bearer {sim.add_token(kind)}"}


def token_of(sim: BuildsSimulator, door: Any) -> str:
    """The UUID of an existing build token."""
    body = {"build_token_name": "t", "build_token_secret": "hush", "cloudflare_token_id": "id"}
    uuid: str = door(sim).result("tokens", method="POST", body=body)["build_token_uuid"]
    return uuid


def triggers_of(sim: BuildsSimulator, tag: str, door: Any) -> list[Any]:
    """The listed triggers of a Worker."""
    found: list[Any] = door(sim).result(f"workers/{tag}/triggers")
    return found


class Consumer:
    """Pulls from a queue without a socket."""

    def __init__(self, sim: BuildsSimulator, queue_id: str | None = None, **options: Any) -> None:
        self.sim = sim
        self.queue_id = sim.add_queue(**options) if queue_id is None else queue_id
        self.token = sim.api_token

    @property
    def queue(self) -> SimulatedQueue:
        return self.sim.queues[self.queue_id]

    def ask(self, action: str, body: Any = None, *, method: str = "POST") -> tuple[int, Any]:
        """Status and body of a response."""
        path = f"/client/v4/accounts/{self.sim.account_id}/queues/{self.queue_id}/messages/{action}"
        data = body if isinstance(body, bytes) else msgspec.json.encode(body or {})
        headers = {"authorization": f"Bearer {self.token}"}
        response = self.sim.answer(Request(method=method, target=path, headers=headers, body=data))
        return response.status, msgspec.json.decode(response.body)

    def result(self, action: str, **body: Any) -> Any:
        """The `result` of a response that must be a success."""
        status, response = self.ask(action, body)
        assert status == 200, response
        return response["result"]

    def pull(self, **body: Any) -> list[Any]:
        """The messages of one pull."""
        messages: list[Any] = self.result("pull", **body)["messages"]
        return messages

    def events(self, **body: Any) -> list[Any]:
        """The events of one pull of a queue with the default encoding."""
        return [msgspec.json.decode(b64decode(message["body"])) for message in self.pull(**body)]
