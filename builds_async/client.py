"""The client: owns the session, hangs resources and live verbs on it."""

from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Protocol, Self
from weakref import WeakSet

import aiohttp

from builds_async.diagnose import diagnose
from builds_async.live import wait
from builds_async.live.events import EventStream
from builds_async.live.follow import LogFollower
from builds_async.live.tail import BuildTail
from builds_async.live.watch import BuildWatcher
from builds_async.models.builds import Build
from builds_async.models.diagnosis import Diagnosis
from builds_async.models.logs import LogPosition
from builds_async.models.tail import TailPosition
from builds_async.resources.account import Account
from builds_async.resources.builds import Builds, DatedBuilds
from builds_async.resources.deploy_hooks import DeployHooks
from builds_async.resources.previews import Previews
from builds_async.resources.queues import Queues
from builds_async.resources.repos import Repos
from builds_async.resources.subscriptions import Subscriptions
from builds_async.resources.tokens import Tokens
from builds_async.resources.triggers import Triggers
from builds_async.resources.workers import Workers
from builds_async.session.aiohttp_transport import AiohttpTransport
from builds_async.session.budget import Budget, RateBudget
from builds_async.session.clock import Clock, SystemClock
from builds_async.session.credentials import resolve
from builds_async.session.ids import checked_tags, segment, tag
from builds_async.session.numbers import seconds, whole
from builds_async.session.observe import Observer
from builds_async.session.retry import RetryPolicy
from builds_async.session.session import ApiSession
from builds_async.session.transport import Transport


class _Closable(Protocol):
    async def aclose(self) -> None: ...


class BuildsClient:
    """A client of the Workers Builds API for one account.

    https://developers.cloudflare.com/api/resources/workers_builds/

    What is None is read from the environment: `account_id` from CLOUDFLARE_ACCOUNT_ID, `api_token` from
    CLOUDFLARE_API_TOKEN, else `api_key` and `api_email` from CLOUDFLARE_API_KEY and CLOUDFLARE_EMAIL,
    `base_url` from CLOUDFLARE_BASE_URL or https://api.cloudflare.com/client/v4. What is then still missing,
    or can't be used, is a ConfigurationError; so is a credential that is passed but empty. A passed key or
    e-mail address is completed from the environment by the other half of its pair, never by a token. Plain
    http is taken for loopback addresses only. The account id
    is 32 hex digits; dashes and spaces of a pasted one are dropped.

    The token must be owned by a user and needs "Workers CI Read" ("Workers Builds Configuration: Read" in
    the dashboard), to cancel "Workers CI Write".

    - `session`: an `aiohttp.ClientSession` of your own, for its proxy, TLS or tracing settings; it is
      never closed here. It must have no credentials of its own (`auth=`, a netrc entry for the API), else a
      call is a ConfigurationError. Without one the client makes its own at the first call and closes it, and
      goes through the proxy that HTTPS_PROXY or ALL_PROXY names (http and https proxies; a user and a
      password in its URL go to the proxy alone).
    - `transport`: what carries the requests, in place of aiohttp: `sim.transport` of a simulator, or your own
      `Transport`. `base_url` and `timeout` are then its own business. It is closed with the client.
    - `timeout`: seconds for one request, connect and body included (30); above 0 and finite, TypeError or
      ValueError for anything else. Each retry has as long again;
      waiting for the rate budget is not part of it, that is bounded by your own `asyncio.timeout`.
    - `retry`: see `RetryPolicy`. `budget`: see `RateBudget`; pass one object to several clients of the
      same user. Each client has one of its own by default.
    - `max_in_flight`: how many requests may be under way at once (10), over all calls of the client.
    - `clock`: time as an argument, for tests.
    - `observer`: is called with each `RequestDone`, `RetryPlanned` and `Waited`, for metrics; it must be
      quick and not raise. `Counters` is one that adds up.

    The credentials are sent with each request to `base_url`, and to nothing else: no proxy, no redirect, no
    call that needs none, no other request of a borrowed session.

    Use it as `async with BuildsClient() as client:`, or call `aclose()`. A closed client stays closed: a
    call is a RuntimeError. Calls may run concurrently, in one asyncio event loop: from a second one, or where
    none runs (trio), a call is a RuntimeError that says so.
    """

    budget: Budget
    """What paces this client; `client.budget.snapshot()` says what is left and until when."""

    builds: Builds
    """Builds and their logs."""

    workers: Workers
    """Workers: their names and tags, and their build configuration."""

    triggers: Triggers
    """What starts builds: triggers, their variables, builds started by hand."""

    previews: Previews
    """Previews of Workers, and their builds."""

    deploy_hooks: DeployHooks
    """URLs that start a build."""

    repos: Repos
    """Connected repositories."""

    tokens: Tokens
    """The API tokens that builds deploy with."""

    account: Account
    """Build minutes."""

    subscriptions: Subscriptions
    """What puts build events into a queue."""

    queues: Queues
    """Messages of Cloudflare Queues."""

    def __init__(
        self,
        *,
        account_id: str | None = None,
        api_token: str | None = None,
        api_key: str | None = None,
        api_email: str | None = None,
        base_url: str | None = None,
        session: aiohttp.ClientSession | None = None,
        transport: Transport | None = None,
        timeout: float = 30.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
        budget: Budget | None = None,
        max_in_flight: int = 10,
        clock: Clock = SystemClock(),  # noqa: B008  # has no state
        observer: Observer | None = None,
    ) -> None:
        timeout = seconds("timeout", timeout, above_zero=True)
        max_in_flight = whole("max_in_flight", max_in_flight, at_least=1)
        settings = resolve(
            account_id=account_id,
            api_token=api_token,
            api_key=api_key,
            api_email=api_email,
            base_url=base_url,
        )
        self._account_id, self._credential_kind = settings.account_id, settings.credential_kind
        self._foreign_host = settings.foreign_host
        self._name = f"account_id={settings.account_id!r}, base_url={settings.base_url!r}"
        self._clock = clock
        self.budget = budget if budget is not None else RateBudget()
        if transport is None:
            transport = AiohttpTransport(
                settings.base_url, session=session, timeout=timeout, secrets=settings.secrets
            )
        elif session is not None:
            raise ValueError("pass a session or a transport, not both: a transport has no use for a session")
        self._session = ApiSession(
            transport,
            f"/accounts/{segment(settings.account_id)}",
            retry=retry,
            budget=self.budget,
            max_in_flight=max_in_flight,
            clock=clock,
            credentials=settings.credentials,
            secrets=settings.secrets,
            observer=observer,
        )
        self.builds = Builds(self._session)
        self.workers = Workers(self._session)
        self._singles = DatedBuilds(self._session)
        self.triggers = Triggers(self._session, self._singles, self.workers)
        self.previews = Previews(self._session)
        self.deploy_hooks = DeployHooks(self._session)
        self.repos = Repos(self._session)
        self.tokens = Tokens(self._session)
        self.account = Account(self._session)
        self.subscriptions = Subscriptions(self._session)
        self.queues = Queues(self._session)
        self._polls = DatedBuilds(self._session.polling())
        self._closables: WeakSet[_Closable] = WeakSet()  # what may have requests on their way

    def __repr__(self) -> str:
        return f"BuildsClient({self._name})"

    async def __aenter__(self) -> Self:
        self._session.check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client and the session that it made. Calling it again does nothing.

        A tail and an event stream end at once. A call that waits for the rate budget, or between two polls,
        is a RuntimeError when its wait is over: cancel it, if that is too late.
        """
        try:
            for closable in tuple(self._closables):
                await closable.aclose()
        finally:
            await self._session.aclose()

    async def diagnose(self) -> Diagnosis:
        """What is wrong with the credentials or the account, before work starts, and what to do about it.

        The kind of the token (by its prefix, and by what the API says of it), whether the account can be
        reached, each permission that reading can show, and whether build minutes are left: four reads,
        nothing is written. Whether builds may be started and cancelled can't be seen that way.

        What the probes meet is in the findings and is not raised, also when the network is down. Needs no
        permission.
        """
        return await diagnose(
            verify=self.tokens.verify,
            limits=self.account.limits,
            scripts=partial(self.workers.search, per_page=1),
            queues=partial(self.subscriptions.list, per_page=1),
            account_id=self._account_id,
            looks_like=self._credential_kind,
            foreign_host=self._foreign_host,
        )

    def follow(
        self,
        build_uuid: str,
        *,
        start: LogPosition | None = None,
        tail: int | None = None,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
    ) -> LogFollower:
        """The log of a build, line by line while it is written, until the build has finished.

        `start` is a `position` saved from another follower of this build: no line is lost or repeated.
        With `tail` it begins at the last so many of the lines that are there now; 0 gives only new ones.
        `poll_interval` (1 s) is the pause between two polls of a running build, stretched up to
        `max_poll_interval` (5 s) while nothing comes, and further when the rate budget runs low. What is
        guaranteed, and what is raised, stands with `LogFollower`. Needs "Workers CI Read".
        """
        segment(build_uuid)
        return LogFollower(
            self._polls,
            build_uuid,
            clock=self._clock,
            finished_source=self._singles,
            start=start,
            tail=tail,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
        )

    async def wait(self, build_uuid: str, *, poll_interval: float = 5.0) -> Build:
        """The build when it has finished: `stopped`, with its outcome.

        Reads no log. Asks every `poll_interval` seconds (5), three times more seldom while the build is
        queued, and never faster than the rate budget allows. An outcome that does not come within 30 s of
        `stopped` is waited for no longer.

        It has no time limit of its own, and a build may be queued for hours: use
        `async with asyncio.timeout(...)`. Raises what `builds.get` raises, after its retries. Needs
        "Workers CI Read".
        """
        return await wait.wait_for_build(
            self._polls, build_uuid, poll_interval=poll_interval, clock=self._clock
        )

    async def wait_for_commit(
        self,
        external_script_id: str,
        commit_hash: str,
        *,
        branch: str | None = None,
        poll_interval: float = 5.0,
    ) -> Build:
        """The finished build of a commit of this Worker: waits until it appears, then until it has finished.

        `commit_hash` is the full hash or the beginning of one, at least 4 digits; ValueError if builds of
        several commits begin so. With `branch`, only builds of that branch count. When the commit was
        built more than once, or is built again meanwhile, the newest build counts. The commit is looked for
        among the Worker's last 200 builds. Builds that were started
        without a commit never do: `wait` for those by their `build_uuid`.

        A build that succeeded need not have deployed; see `builds.by_version`. Else as `wait`.
        """
        tag(external_script_id)
        return await wait.wait_for_commit(
            self._polls,
            external_script_id,
            commit_hash,
            branch=branch,
            poll_interval=poll_interval,
            clock=self._clock,
        )

    def watch(self, external_script_ids: Iterable[str], *, interval: float = 15.0) -> BuildWatcher:
        """The changes of the builds of these Workers, without end: `async for change in client.watch(tags)`.

        First the latest build of each Worker, then each new build, status and outcome once. One request asks
        for 20 Workers, every `interval` seconds (15) or as the rate budget allows: a thousand Workers are
        50 requests a pass. What is guaranteed stands with `BuildWatcher`. Needs "Workers CI Read".
        """
        return BuildWatcher(
            self._polls, checked_tags(external_script_ids), interval=interval, clock=self._clock
        )

    def tail(
        self,
        external_script_ids: Iterable[str],
        *,
        start: TailPosition | None = None,
        tail: int | None = None,
        interval: float = 10.0,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
    ) -> BuildTail:
        """The log lines of all builds of these Workers, merged: `async for line in client.tail(tags)`.

        Builds that run now from their first line (with `tail`, from the last so many lines that are there, 0
        for none), and each new build by itself, which is found every `interval` seconds (10); it never
        ends. Each log is asked for every `poll_interval` (1 s) to `max_poll_interval` (5 s), or as the rate
        budget allows. `start` is the `position` of an earlier tail. What is guaranteed stands with
        `BuildTail`. Needs "Workers CI Read".
        """
        stream = BuildTail(
            self._polls,
            checked_tags(external_script_ids),
            clock=self._clock,
            start=start,
            tail=tail,
            interval=interval,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
        )
        self._closables.add(stream)
        return stream

    def events(
        self,
        queue_id: str,
        *,
        batch_size: int = 10,
        visibility_timeout: float = 120.0,
        poll_interval: float = 2.0,
        max_poll_interval: float = 15.0,
    ) -> EventStream:
        """The build events of a Cloudflare Queue, without end: `async for event in client.events(queue_id)`.

        Each is acknowledged when the next one is asked for. A pull gives up to `batch_size` events (10),
        leased for `visibility_timeout` seconds (120) at a time. An empty queue is asked every `poll_interval`
        (2 s), more seldom up to `max_poll_interval` (15 s), or as the rate budget allows. What is guaranteed
        stands with `EventStream`. The queue needs an event subscription to Workers Builds and an HTTP pull
        consumer, the token "Queues Write" ("Queues Edit" in the dashboard).
        """
        segment(queue_id)
        events = EventStream(
            Queues(self._session.polling()),
            queue_id,
            clock=self._clock,
            batch_size=batch_size,
            visibility_timeout=visibility_timeout,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
        )
        self._closables.add(events)
        return events
