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
from builds_async.simulator.behavior import Behavior, RateLimit
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
_NOWHERE = "http://127.0.0.1/client/v4"  # a base URL for a client whose requests never use it


class BuildsSimulator(AccountSetup):
    """An embedded Workers Builds with one account, in this process or served on loopback at a free port.

    `client` and `transport` reach it without a socket. `async with BuildsSimulator() as sim:` also serves it
    at `url`. Workers and builds may be added before or after the start. Leaving the block closes every
    connection and ends every process of `run_build`. The account stays, and can be served again at another
    port.

    - `clock`: the clock of builds, of the rate limit and of slow responses. Pass the same one to the client.
    - `behavior`: switches for unknown behavior of the real service. `behaviour` is its old spelling.
    - `faults`: the faults to begin with; see `fault`.
    - `rate_limit`: None for no limit and no rate limit headers.
    - `page_size`: how many lines a page of a log has at most (100).
    - `account_id`, `api_token`: None for new ones.
    - `api_email`, `api_key`: an email address and its global key, accepted instead of a token.
    - `seed`: makes ids and tokens the same in each run. None: new ones in each run.
    - `epoch`: the date at which the clock starts. None: the current date.
    - `started_builds`: returns the script of a build that is started over the API; see `add_build`. By
      default the build succeeds after several seconds.
    - `kill_after`: how many real seconds a canceled process has to exit (5).
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        behavior: Behavior | None = None,
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
        behaviour: Behavior | None = None,
    ) -> None:
        if (api_email is None) != (api_key is None):
            raise ValueError("api_email and api_key belong together")
        account = Account(
            SystemClock() if clock is None else clock,
            behavior or behaviour or Behavior(),
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
        """Serve on a loopback address. Port 0 picks a free port. Does nothing if it is started already.

        ValueError if `host` is not a loopback address; OSError if the port is taken.
        """
        async with self._lifecycle:
            if self._url is None:
                port = await self._server.start(host, port)
                self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PREFIX}"

    async def stop(self) -> None:
        """Close every connection and end every process. Does nothing if it is not started."""
        async with self._lifecycle:
            await self._processes.stop()
            await self._server.stop()
            self._url = None

    @property
    def url(self) -> str:
        """The base URL, which ends in `/client/v4`. RuntimeError unless the simulator is started."""
        if self._url is None:
            raise RuntimeError(_NOT_STARTED)
        return self._url

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables that connect a child process to the simulator.

        RuntimeError unless the simulator is started.
        """
        return {
            "CLOUDFLARE_ACCOUNT_ID": self.account_id,
            "CLOUDFLARE_API_TOKEN": self.api_token,
            "CLOUDFLARE_BASE_URL": self.url,
        }

    @property
    def transport(self) -> Transport:
        """A new `Transport` for one client, without a socket; the simulator need not be started.

        Use it as `BuildsClient(transport=sim.transport, ...)`. The timeout is 30 seconds on the simulator's
        clock; `client` accepts another one.
        """
        return SimulatorTransport(self._api, self.clock)

    def client(self, **options: Any) -> "BuildsClient":  # noqa: ANN401  # those of BuildsClient
        """A client of this account, without a socket; the simulator need not be started.

        Account, token, clock and transport are filled in. `options` are those of `BuildsClient` and override
        them. With `transport=None`, or with a `session`, requests go over the socket to `url`.
        """
        from builds_async.client import BuildsClient  # noqa: PLC0415  # the simulator works without it

        filled: dict[str, Any] = {"account_id": self.account_id, "clock": self.clock}
        if options.get("api_key") is None:  # otherwise the token would override the key
            filled["api_token"] = self.api_token
        if options.get("session") is None:
            filled["transport"] = SimulatorTransport(self._api, self.clock, options.get("timeout", 30.0))
        over_socket = (filled | options).get("transport") is None
        filled["base_url"] = self.url if over_socket else self._url or _NOWHERE
        return BuildsClient(**filled | options)

    def answer(self, request: Request) -> Response:
        """Serve one request without a socket. A connection fault is only named in the response."""
        return self._api.answer(request)

    @property
    def requests(self) -> deque[SeenRequest]:
        """The last 10,000 served requests, oldest first. You may clear it."""
        return self._api.requests

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._server.connections

    def fault(self, *faults: Fault | FaultKind) -> None:
        """Append faults to the plan. A kind alone stands for a `Fault` with the defaults."""
        self._api.faults.add(*faults)

    def clear_faults(self) -> None:
        """Drop the faults that have not happened yet."""
        self._api.faults.clear()

    def spend(self, requests: int) -> None:
        """Count requests that other tools of the same user have just sent."""
        self._api.rate.spend(requests, self.clock.now())

    async def run_build(
        self,
        command: Sequence[str],
        *,
        cwd: str | PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        **options: Unpack[BuildOptions],
    ) -> SimulatedBuild:
        """Start a real process as a build, without a shell. Each line of its output is in the log at once.

        - Standard output and standard error are one stream of UTF-8. Invalid bytes are replaced, and a line
          is split after 64 Ki characters.
        - Exit code 0 is `success`. Any other is `fail`, and so is a command that can't be started.
        - Canceling, over the API or by `cancel`, ends the process and its children, first with SIGTERM and
          then with SIGKILL. Later output is dropped. `finish` does the same.
        - A `VirtualClock` runs in real time while the process runs.
        - The variables of a real build (`CI`, `WORKERS_CI`, ...) are added to `env`. Without `env`, they are
          added to the environment of this process without its `CLOUDFLARE_*` variables, which keeps tokens
          out of the log. Pass a token in `env` if the command needs one.

        RuntimeError if the simulator is not started; ValueError if `command` is empty or a single str, or if
        there is no Worker with the tag.
        """
        if self._url is None:
            raise RuntimeError(_NOT_STARTED)
        if not command or isinstance(command, str):
            raise ValueError("command must be a sequence of words, starting with the program")
        build = self.add_build(**options)
        await self._processes.start(build, command, cwd=cwd, env=env)
        return build
