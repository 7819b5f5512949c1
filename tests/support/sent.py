"""The requests of tests, recorded by a mocked API or by a transport."""

import json
from typing import Any

from aiohttp import ClientResponse
from yarl import URL

from builds_async.session.transport import Request, Response
from tests.support.api import MockApi
from tests.support.bodies import TAG, envelope

UUID = "9c7f2e52-0e58-4a0c-8a0e-0a5a1b0f6d11"
PREVIEW = "00000000000000000000000000000abc"
TRIGGER, WORKER = f"/builds/triggers/{UUID}", f"/builds/workers/{TAG}"
VARIABLES = f"{TRIGGER}/environment_variables"
SUBSCRIPTION = "/event_subscriptions/subscriptions"
CONFIG = {"script_tag": TAG}

RESULTS = {
    "tokens": {"build_token_uuid": UUID},
    "deploy_hooks": {"deploy_hook_uuid": UUID},
    "previews": {"preview_id": PREVIEW},
    "subscriptions": {"id": "i"},
}


class BodyApi(MockApi):
    """Also records the request bodies, and can echo them."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[Any] = []
        self.types: list[str | None] = []

    async def match(self, method: str, url: URL, *args: Any, **kwargs: Any) -> ClientResponse | None:
        data = kwargs.get("data")
        self.bodies.append(None if data is None else json.loads(data))
        self.types.append((kwargs.get("headers") or {}).get("Content-Type"))
        return await super().match(method, url, *args, **kwargs)


class Recorder:
    """A transport that records requests."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.raw = b""
        self.bodies: list[Any] = []

    async def send(self, request: Request) -> Response:
        self.raw = request.body or b""
        self.bodies.append(json.loads(self.raw))
        return Response(200, {}, json.dumps(envelope(self.result)).encode())

    def check_open(self) -> None:
        """Always open."""

    async def aclose(self) -> None:
        """Nothing to close."""
