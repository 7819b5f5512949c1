"""`BuildsSimulator`: a simulated account, and the ways to reach it."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from builds_async.session.clock import Clock, SystemClock
from builds_async.session.transport import Transport
from builds_async.simulator.account import Account
from builds_async.simulator.api import PREFIX, Api
from builds_async.simulator.behaviour import Behaviour, RateLimit
from builds_async.simulator.build_details import BuildOptions, Moment
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.faults import Fault, FaultKind
from builds_async.simulator.messages import Request, Response, SeenRequest
from builds_async.simulator.process import ProcessRunner
from builds_async.simulator.scripts import typical_build
from builds_async.simulator.server import ApiServer
from builds_async.simulator.setup import AccountSetup
from builds_async.simulator.transport import SimulatorTransport

if TYPE_CHECKING:
    from builds_async.client import BuildsClient

_NOT_STARTED = "the simulator is not started: this needs `async with sim`"
_NOWHERE = "http://127.0.0.1/client/v4"  # the base URL of a client that has no use for one


class BuildsSimulator(AccountSetup):
    """An embedded Workers Builds: one account, in process or served on loopback at a free port.

    `client` and `transport` reach it without a socket. `async with BuildsSimulator() as sim:` serves it at
    `url` as well. Workers and builds may be added before. Leaving the block closes every connection and ends
    every process of `run_build`; the account stays, and may be served again, at another port.

    - `clock`: the time of builds, of the rate limit and of slow responses. Give the client the same one.
    - `behaviour`: switches for what is unknown about the real service.
    - `faults`: a first plan of faults; see `fault`.
    - `rate_limit`: None for no limit, and no rate limit headers.
    - `page_size`: the lines of one page of a log (100).
    - `account_id`, `api_token`: None for new ones. `api_email`, `api_key`: a pair that is accepted as well.
    - `seed`: makes ids and tokens the same in each run. None: new ones each time.
    - `epoch`: the date of the clock's present moment. None: the machine's.
    - `started_builds`: makes the script of a build that is started over the API; see `add_build`. By default
      it succeeds after several seconds.
    - `kill_after`: how many real seconds a canceled process has to end by itself (5).
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        behaviour: Behaviour | None = None,
        faults: Iterable[Fault | FaultKind] = (),
        rate_limit: RateLimit | None = RateLimit(),  # noqa: B008  # frozen
        page_size: int = 100,
        account_id: str | None = None,
        api_token: str | None = None,
        api_email: str | None = None,
        api_key: str | None = None,
        seed: int | None = None,
        epoch: datetime | None = None,
        started_builds: Callable[[SimulatedBuild], Iterable[Moment]] = typical_build,
        kill_after: float = 5.0,
    ) -> None:
        if (api_email is None) != (api_key is None):
            raise ValueError("api_email and api_key belong together")
        account = Account(
            SystemClock() if clock is None else clock,
            Behaviour() if behaviour is None else behaviour,
            account_id=account_id,
            page_size=page_size,
            seed=seed,
            epoch=epoch,
            started_builds=started_builds,
        )
        super().__init__(account)
        self._api = Api(account, rate_limit=rate_limit, faults=faults)
        self._server = ApiServer(self._api, self.clock)
        self._processes = ProcessRunner(self.clock, kill_after)
        self._url: str | None = None
        self._lifecycle = asyncio.Lock()
        self.api_token: str = self.add_token(token=api_token)
        """An API token with every permission."""
        if api_email is not None and api_key is not None:
            account.key_pairs[api_email] = api_key

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve, on a loopback address only; port 0 is a free one. Without effect if it is started.

        ValueError if `host` is not a loopback address; OSError if the port is taken.
        """
        async with self._lifecycle:
            if self._url is None:
                port = await self._server.start(host, port)
                self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PREFIX}"

    async def stop(self) -> None:
        """Close every connection and end every process. Without effect if it is not started."""
        async with self._lifecycle:
            await self._processes.stop()
            await self._server.stop()
            self._url = None

    @property
    def url(self) -> str:
        """The base URL for a client; it ends in `/client/v4`. RuntimeError unless it is started."""
        if self._url is None:
            raise RuntimeError(_NOT_STARTED)
        return self._url

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables that connect a child process. RuntimeError unless it is started."""
        return {
            "CLOUDFLARE_ACCOUNT_ID": self.account_id,
            "CLOUDFLARE_API_TOKEN": self.api_token,
            "CLOUDFLARE_BASE_URL": self.url,
        }

    @property
    def transport(self) -> Transport:
        """A new `Transport` for one client, without a socket; the simulator need not be started.

        `BuildsClient(transport=sim.transport, ...)`. A response has 30 seconds of the simulator's clock;
        `client` takes another timeout.
        """
        return SimulatorTransport(self._api, self.clock)

    def client(self, **options: Any) -> "BuildsClient":  # noqa: ANN401  # those of BuildsClient
        """A client of this account, without a socket; the simulator need not be started.

        Account, token, clock and transport are filled in. `options` are those of `BuildsClient` and override
        them. With `transport=None` or a `session` of your own the requests go over the socket to `url`.
        """
        from builds_async.client import BuildsClient  # noqa: PLC0415  # the simulator works without it

        filled: dict[str, Any] = {"account_id": self.account_id, "clock": self.clock}
        if options.get("api_key") is None:  # else the token would win over the key
            filled["api_token"] = self.api_token
        if options.get("session") is None:
            filled["transport"] = SimulatorTransport(self._api, self.clock, options.get("timeout", 30.0))
        over_socket = (filled | options).get("transport") is None
        filled["base_url"] = self.url if over_socket else self._url or _NOWHERE
        return BuildsClient(**filled | options)

    def answer(self, request: Request) -> Response:
        """Serve one request without a socket. A fault of the connection is only named in the response."""
        return self._api.answer(request)

    @property
    def requests(self) -> deque[SeenRequest]:
        """The last 10,000 requests, oldest first. May be cleared."""
        return self._api.requests

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._server.connections

    def fault(self, *faults: Fault | FaultKind) -> None:
        """Append faults to the plan; a bare kind stands for a `Fault` with the defaults."""
        self._api.faults.add(*faults)

    def clear_faults(self) -> None:
        """Drop the faults that have not happened yet."""
        self._api.faults.clear()

    def spend(self, requests: int) -> None:
        """Count requests that other tools of the same user have made just now."""
        self._api.rate.spend(requests, self.clock.now())

    async def run_build(
        self,
        command: Sequence[str],
        *,
        cwd: str | PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        **options: Unpack[BuildOptions],
    ) -> SimulatedBuild:
        """Start a real process, without a shell; each line that it writes is in the log at once.

        Output and errors are one stream, read as UTF-8; anything else is replaced, and a line is cut after
        64 Ki characters. Exit code 0 is `success`; any other is `fail`, and so is a command that can't be
        started. Canceling, over the API or by `cancel`, ends the process and its children, first with SIGTERM
        and then with SIGKILL; their output from then on is dropped. `finish` does the same. On a
        `VirtualClock` time is real while the process runs.

        The variables of a real build (`CI`, `WORKERS_CI`, ...) are added to `env`, or to the environment of
        this process without its variables `CLOUDFLARE_*`: a log is no place for a token, so pass one in `env`
        if the command needs it.

        RuntimeError if the simulator is not started; ValueError if `command` is empty or one text, or there
        is no Worker with that tag.
        """
        if self._url is None:
            raise RuntimeError(_NOT_STARTED)
        if not command or isinstance(command, str):
            raise ValueError("command must be a sequence of words, of which the first is the program")
        build = self.add_build(**options)
        await self._processes.start(build, command, cwd=cwd, env=env)
        return build
