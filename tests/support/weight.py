"""What the live verbs hold in memory while nothing happens, and after it has not happened for long."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qs

import msgspec
from multidict import CIMultiDict

from builds_async import BuildsClient
from builds_async.session.transport import Request, Response
from tests.support.bodies import ACCOUNT, BUILD_UUID, TOKEN, build, envelope, log_page

PER_FOLLOWER = 20 * 1024
"""The most bytes of an idle follower with its task, of which it takes 8 KiB: a thousand are 20 MiB."""
PER_WORKER = 8 * 1024
"""The most bytes of a watched Worker, of which it takes 4 KiB, its latest build included."""
GROWTH = 8 * 1024
"""The most bytes by which hundreds of polls may move the sum: one object kept per poll would be more."""

Verb = Callable[[BuildsClient], AsyncIterator[object]]


class Still:
    """An account in which nothing changes, and whose time passes by sleeping. It keeps nothing itself."""

    def __init__(self) -> None:
        self.sleeps = 0
        self._log = msgspec.json.encode(envelope(log_page(*(f"line {number}" for number in range(20)))))
        self._build = msgspec.json.encode(
            envelope(build(status="running", build_outcome=None, stopped_on=None))
        )

    def now(self) -> float:
        return float(self.sleeps)

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002  # a clock's signature
        self.sleeps += 1
        await asyncio.sleep(0)

    async def send(self, request: Request) -> Response:
        await asyncio.sleep(0)
        return Response(200, CIMultiDict(), self._body(request))

    def check_open(self) -> None:
        """Always open."""

    async def aclose(self) -> None:
        """Nothing to close."""

    def _body(self, request: Request) -> bytes:
        if request.path.endswith("/logs"):
            return self._log
        if not request.path.endswith("/latest"):
            return self._build
        tags = parse_qs(request.query)["external_script_ids"][0].split(",")
        found = {tag: build(f"{tag[:8]}{BUILD_UUID[8:]}") for tag in tags}
        return msgspec.json.encode(envelope({"builds": found}))


async def weigh(verb: Verb, *, sleeps: tuple[int, ...], count: int = 1) -> list[int]:
    """Bytes that `count` of a verb hold each time that they have slept so often, all together."""
    account, weights = Still(), list[int]()
    async with BuildsClient(
        account_id=ACCOUNT, api_token=TOKEN, transport=account, clock=account, budget=None
    ) as client:
        tracemalloc.start()
        try:
            tasks = [asyncio.create_task(_read(verb(client))) for _ in range(count)]
            for until in sleeps:
                while account.sleeps < until:
                    for task in tasks:
                        assert not task.done(), task
                    await asyncio.sleep(0)
                gc.collect()
                weights.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    return weights


async def _read(items: AsyncIterator[object]) -> None:
    async for _ in items:
        pass
