"""Carries a client's requests to the simulated API without a socket: `sim.transport`.

Connection faults become the errors that the client's own transport raises for them. `server` produces the
same faults on a real connection.
"""

import asyncio
from typing import NoReturn

from multidict import CIMultiDict

from builds_async.errors import BuildsConnectionError, BuildsTimeoutError, ResponseDecodeError
from builds_async.session.clock import Clock
from builds_async.session.transport import Request, Response
from builds_async.simulator import messages
from builds_async.simulator.api import PREFIX, Api
from builds_async.simulator.faults import Fault
from builds_async.simulator.responses import huge_json

# The limits of the client's own transport, for successes and for all other responses. A test compares both.
_MAX_BODY = 64 * 1024 * 1024
_MAX_REFUSAL = 1024 * 1024


class SimulatorTransport:
    """A `Transport` for one `BuildsClient`. The credentials of each request are checked as over HTTP.

    Delays pass on the simulator's clock. A response that takes longer than the request's own timeout, or else
    `timeout` seconds (30), is a BuildsTimeoutError. As with any transport, a closed client stays closed, and
    a client belongs to one event loop.
    """

    def __init__(self, api: Api, clock: Clock, timeout: float = 30.0) -> None:
        self._api = api
        self._clock = clock
        self._timeout = timeout
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def send(self, request: Request) -> Response:
        """Serve one request. Connection faults are raised as errors, after the request took effect."""
        self.check_open()
        await asyncio.sleep(0)  # as on a network, other tasks get to run and the call can be canceled
        simulated = self._api.answer(
            messages.Request(
                method=request.method,
                target=f"{PREFIX}{request.path}?{request.query}" if request.query else PREFIX + request.path,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=request.body or b"",
            )
        )
        response = Response(simulated.status, CIMultiDict(simulated.headers), simulated.body)
        if simulated.fault is None:
            return response
        limit = self._timeout if request.timeout is None else request.timeout
        return await self._spoil(response, simulated.fault, limit)

    async def _spoil(self, response: Response, fault: Fault, limit: float) -> Response:
        # The errors keep their default `sent=True`: the request has taken effect.
        match fault.kind:
            case "reset":
                raise BuildsConnectionError("the connection failed (the simulator reset it)")
            case "cut_body":
                raise BuildsConnectionError("the response was cut short (by the simulator)")
            case "stall":
                await self._time_out(limit)
            case "slow" if fault.delay >= limit:
                await self._time_out(limit)
            case "slow":
                await self._clock.sleep(fault.delay)
                return response
            case "huge_body":
                return _read_bounded(response, fault.size)
        raise AssertionError(f"the transport has no implementation of the fault {fault.kind!r}")

    async def _time_out(self, limit: float) -> NoReturn:
        await self._clock.sleep(limit)
        raise BuildsTimeoutError(f"no whole response within {limit:g} s; raise `timeout`")

    def check_open(self) -> None:
        """Raise RuntimeError if the client was closed, or is used in another event loop than before."""
        if self._closed:
            raise RuntimeError("this BuildsClient is closed; make a new one")
        # This transport would work in several loops. But a test must not pass where HTTP would fail.
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a test drives the coroutine without a loop
            return
        if self._loop not in {None, loop}:
            raise RuntimeError(
                "this BuildsClient was first used in another event loop: make a client in each event loop"
            )
        self._loop = loop

    async def aclose(self) -> None:
        """Close this transport. The simulator and its other transports are not affected."""
        self._closed = True


def _read_bounded(response: Response, size: int) -> Response:
    """A response with a huge body, read up to the client's limit."""
    success = 200 <= response.status < 300
    limit = _MAX_BODY if success else _MAX_REFUSAL
    body = bytearray()
    # Chunk by chunk: the size of the fault may not fit into memory.
    for chunk in huge_json(size):
        body += chunk
        if len(body) > limit:
            break
    if success and len(body) > limit:
        raise ResponseDecodeError(
            f"the response ({response.status}) is larger than {_MAX_BODY // 2**20} MiB",
            status=response.status,
            ray_id=response.headers.get("cf-ray"),
        )
    return Response(response.status, response.headers, bytes(body[:limit]))
