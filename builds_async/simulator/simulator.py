"""`BuildsSimulator`: the door to a simulated account and the server that it is reached by."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from builds_async.models.builds import BuildOutcome
from builds_async.session.clock import Clock, SystemClock
from builds_async.session.transport import Transport
from builds_async.simulator.api import PREFIX, Api
from builds_async.simulator.behaviour import Behaviour, RateLimit, TokenKind
from builds_async.simulator.builds import BuildDetails, BuildOptions, Moment, SimulatedBuild
from builds_async.simulator.faults import Fault, FaultKind
from builds_async.simulator.messages import Answer, Request, SeenRequest
from builds_async.simulator.process import ProcessRunner
from builds_async.simulator.queues import QueueDetails, QueueOptions, SimulatedQueue
from builds_async.simulator.records import BUILD_EVENTS, BUILDS_OF_WORKER, Worker
from builds_async.simulator.scripts import finished_script, typical_build
from builds_async.simulator.server import ApiServer
from builds_async.simulator.state import State, TriggerOptions
from builds_async.simulator.transport import SimulatorTransport

if TYPE_CHECKING:
    from builds_async.client import BuildsClient

_NOWHERE = "http://127.0.0.1/client/v4"  # the base URL of a client that needs none


class BuildsSimulator:
    """An embedded Workers Builds: one account, served on loopback at a free port.

    `async with BuildsSimulator() as sim:` starts and stops it. Workers and builds may be added before, and
    `answer` serves a request without any socket. Stopping closes every connection and ends every process that
    `run_build` started; the account keeps what it holds and may be started again, at another port.

    Args:
        clock: The time of builds, of the rate limit and of slow answers. Give the client the same one.
        behaviour: Switches for what is unknown about the real service.
        faults: A first plan of faults; see `fault`.
        rate_limit: None for no limit, and no rate limit headers.
        page_size: Lines in a page of a log.
        account_id, api_token: Given ones, or None for new ones.
        api_email, api_key: A pair that is accepted as well.
        seed: Makes ids and tokens the same in each run. None: other ones each time.
        epoch: The date of the clock's present moment. None: the machine's.
        started_builds: Gives the script of a build that is started over the API; see `add_build`. The default
            is a build of some seconds that succeeds.
        kill_after: Seconds on the machine's clock that a cancelled process has to end by itself.
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
        self.clock: Clock = SystemClock() if clock is None else clock
        behaviour = Behaviour() if behaviour is None else behaviour
        self._state = State(
            self.clock,
            behaviour,
            account_id=account_id,
            page_size=page_size,
            seed=seed,
            epoch=epoch,
            started_builds=started_builds,
        )
        self._api = Api(self._state, rate_limit=rate_limit, faults=faults)
        self._server = ApiServer(self._api, self.clock)
        self._processes = ProcessRunner(self.clock, kill_after)
        self._url: str | None = None
        self._lifecycle = asyncio.Lock()
        self.api_token = self.add_token(token=api_token)
        if api_email is not None and api_key is not None:
            self._state.key_pairs[api_email] = api_key

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve, on a loopback address only. A started simulator is left as it is.

        Raises:
            ValueError: `host` is not a loopback address.
            OSError: The port is taken.
        """
        async with self._lifecycle:
            if self._url is None:
                port = await self._server.start(host, port)
                self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PREFIX}"

    async def stop(self) -> None:
        """Close every connection, end and reap every process. A stopped simulator is left as it is."""
        async with self._lifecycle:
            await self._processes.stop()
            await self._server.stop()
            self._url = None

    @property
    def url(self) -> str:
        """The base URL for a client; it ends in `/client/v4`. Only while it is started."""
        if self._url is None:
            raise RuntimeError("the simulator is not started: its URL needs `async with sim`")
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
        `client` has a timeout of your own.
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

    @property
    def account_id(self) -> str:
        """The one account."""
        return self._state.account_id

    @property
    def behaviour(self) -> Behaviour:
        """The switches that it was made with."""
        return self._state.behaviour

    @property
    def workers(self) -> Mapping[str, str]:
        """The tag of each Worker by its name."""
        return self._state.workers

    @property
    def builds(self) -> Mapping[str, SimulatedBuild]:
        """Each build by its UUID, in the order in which they were added."""
        return self._state.builds

    @property
    def queues(self) -> Mapping[str, SimulatedQueue]:
        """Each queue by its id."""
        return self._state.queues

    @property
    def requests(self) -> deque[SeenRequest]:
        """What was asked, oldest first; only the last 10,000 requests. May be cleared."""
        return self._api.requests

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._server.connections

    def answer(self, request: Request) -> Answer:
        """Answer a request without a socket. Faults of the wire are only named in the answer."""
        return self._api.answer(request)

    def add_token(self, kind: TokenKind = TokenKind.FULL, token: str | None = None) -> str:
        """Let another token in, as what it is. Tokens that were not added are answered 401 with 12006."""
        return self._state.add_token(kind, token)

    def add_worker(
        self,
        name: str | None = None,
        *,
        tag: str | None = None,
        connected: bool = True,
        deployed: bool = True,
        tags: Iterable[str] = (),
    ) -> str:
        """Add a Worker and give its tag, 32 hex characters. An existing name gives its tag.

        It has a repository connection, a build token and a trigger for the branch `main`.

        Args:
            name: None for a new one.
            tag: None for a new one.
            connected: False: a Worker without Workers Builds, which has none of these.
            deployed: False: it is missing from the list of Workers.
            tags: The account's own labels, by which the list can be filtered.

        Raises:
            ValueError: The name or the tag belongs to another Worker.
        """
        return self._state.add_worker(name, tag=tag, connected=connected, deployed=deployed, tags=tags)

    def add_trigger(self, external_script_id: str, **options: Unpack[TriggerOptions]) -> str:
        """Give a Worker its next trigger: that of `main`, then that of all other branches; its UUID.

        Raises:
            ValueError: There is no such Worker, or it has two triggers.
        """
        return self._state.add_trigger(self._worker(external_script_id), **options).trigger_uuid

    def add_preview(self, external_script_id: str, branch: str) -> str:
        """Give a Worker a Preview of a branch, as a push would; its id, which is a Worker's tag of its own.

        Builds are added to it under that id.

        Raises:
            ValueError: There is no such Worker, or it has no trigger, or a Preview of that branch.
        """
        return self._state.add_preview(self._worker(external_script_id), branch).worker.tag

    def add_deploy_hook(self, external_script_id: str, name: str = "nightly", branch: str = "main") -> str:
        """Give a Worker a deploy hook; its UUID.

        Raises:
            ValueError: There is no such Worker.
        """
        hook = self._state.registry.add_hook(self._worker(external_script_id).tag, name, branch)
        return hook.deploy_hook_uuid

    def refuse_repository(self, provider_account_id: str, repo_id: str | None = None) -> None:
        """Let a repository not be connected any more: 404 with 8000012.

        None: nor any other of that account, which has not installed Cloudflare's app: 404 with 8000008.
        """
        self._state.registry.refused.add((provider_account_id, repo_id))

    def set_limits(self, reached: bool | None, refresh_on: datetime | None = None) -> None:
        """What the account says of its build minutes; None twice as for paid plans. It refuses no build."""
        self._state.minutes = (reached, refresh_on)

    def _worker(self, tag: str) -> Worker:
        worker = self._state.scripts.get(tag)
        if worker is None or worker.parent is not None:
            raise ValueError(f"there is no Worker with the tag {tag!r}; add_worker() gives tags")
        return worker

    def add_build(self, script: Iterable[Moment] = (), **options: Unpack[BuildOptions]) -> SimulatedBuild:
        """Add a build that is queued now and plays `script` on the clock.

        A script is pairs of seconds from now and what happens then: a text (a log line), a `BuildStatus`, or
        a `BuildOutcome`, which also stops a build that still runs. Lines may come after the end.
        `build_script` makes a typical one. Without a script it is driven by hand.

        Raises:
            ValueError: There is no Worker with the tag `external_script_id`, or it has no trigger.
        """
        return self._state.add_build(BuildDetails(**options), script)

    def add_finished_build(
        self,
        lines: int | Iterable[str] = 20,
        outcome: BuildOutcome = BuildOutcome.SUCCESS,
        *,
        age: float = 3600.0,
        duration: float = 60.0,
        **options: Unpack[BuildOptions],
    ) -> SimulatedBuild:
        """Add a build that ran for `duration` seconds and stopped `age` seconds ago.

        Its log is exactly `lines`, or so many numbered ones.

        Raises:
            ValueError: There is no Worker with the tag `external_script_id`.
        """
        created = self.clock.now() - age - duration
        return self._state.add_build(
            BuildDetails(**options), finished_script(lines, outcome, duration), created
        )

    def add_queue(self, name: str | None = None, **options: Unpack[QueueOptions]) -> str:
        """Add a queue with an HTTP pull consumer, subscribed to build events from now on, and give its id.

        Its subscription has the queue's name. Pulling needs a token that may write, as acknowledging does.

        Raises:
            ValueError: There is a queue of that name.
        """
        names = {queue.name for queue in self.queues.values()}
        if name is None:
            name = next(it for it in (f"queue-{number}" for number in count(1)) if it not in names)
        if name in names:
            raise ValueError(f"there is another queue with the name {name!r}")
        queue_id = self._state.identities.tag()
        queue = SimulatedQueue(queue_id, name, QueueDetails(**options), self._state)
        self._state.queues[queue_id] = queue
        if queue.details.subscribed:
            worker = queue.details.worker_name
            source = {"type": BUILDS_OF_WORKER} | ({} if worker is None else {"worker_name": worker})
            self._state.registry.subscribe(name, source, queue_id, list(BUILD_EVENTS))
        return queue_id

    async def run_build(
        self,
        command: Sequence[str],
        *,
        cwd: str | PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        **options: Unpack[BuildOptions],
    ) -> SimulatedBuild:
        """Start a real process, without a shell; each line that it writes is in the log at once.

        Output and errors are one stream, read as UTF-8; what is not UTF-8 is replaced, and a line is cut
        after 64 Ki characters. Exit code 0 is `success`, anything else `fail`, and so is a command that can't
        be started. Cancelling, over the API or by `cancel`, ends the process and what it started: first asked
        by SIGTERM, then killed; what it writes meanwhile is dropped. `finish` does the same. The variables
        that a real build sees (`CI`, `WORKERS_CI`, ...) are added to `env`, or to this process's own
        environment without its variables `CLOUDFLARE_*`: a log is no place for a token, so pass one in `env`
        if the command needs it. On a `VirtualClock` time is real while the process runs.

        Raises:
            RuntimeError: The simulator is not started.
            ValueError: `command` is empty or one text, or there is no Worker with that tag.
        """
        if self._url is None:
            raise RuntimeError("the simulator is not started")
        if not command or isinstance(command, str):
            raise ValueError("command must be a sequence of words, of which the first is the program")
        build = self.add_build(**options)
        await self._processes.start(build, command, cwd=cwd, env=env)
        return build

    def fault(self, *faults: Fault | FaultKind) -> None:
        """Put faults at the end of the plan; a bare kind stands for a `Fault` with the defaults."""
        self._api.faults.add(*faults)

    def clear_faults(self) -> None:
        """Forget the faults that have not happened yet."""
        self._api.faults.clear()

    def spend(self, requests: int) -> None:
        """Count requests that other tools of the same user made just now."""
        self._api.rate.spend(requests, self.clock.now())
