"""The client: owns the session, and has the resources and the live verbs."""

import copy
from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self, TypedDict, TypeVar, Unpack, overload
from weakref import WeakSet, WeakValueDictionary

import aiohttp
from msgspec import UNSET

from builds_async.diagnose import diagnose
from builds_async.live import wait
from builds_async.live.account_workers import AccountWorkers
from builds_async.live.batches import TailBatches
from builds_async.live.board import Board
from builds_async.live.broadcast import LogBroadcast
from builds_async.live.demand import Demand
from builds_async.live.deployed import DeploymentWait
from builds_async.live.events import EventStream
from builds_async.live.follow import LogFollower
from builds_async.live.outages import Outages
from builds_async.live.ownership import Ownership
from builds_async.live.patience import Patience
from builds_async.live.shared_events import SharedEvents
from builds_async.live.shared_watch import SharedWatcher
from builds_async.live.stores import PositionStore
from builds_async.live.tail import BuildTail
from builds_async.live.watch import BuildWatcher
from builds_async.models.builds import Build
from builds_async.models.changes import WatchPosition
from builds_async.models.diagnosis import Diagnosis
from builds_async.models.live import LiveWorker
from builds_async.models.logs import LogPosition
from builds_async.models.repair import NewBuildToken
from builds_async.models.tail import TailPosition
from builds_async.probe.probe import AccountProbe
from builds_async.repair import TokenRepair
from builds_async.resources.account import Account
from builds_async.resources.builds import Builds, DatedBuilds
from builds_async.resources.dashboard import DashboardLinks
from builds_async.resources.deploy_hooks import DeployHooks
from builds_async.resources.deployments import Deployments
from builds_async.resources.preview_links import PreviewLinks
from builds_async.resources.previews import Previews
from builds_async.resources.queues import Queues
from builds_async.resources.repos import Repos
from builds_async.resources.served import ServedBuilds
from builds_async.resources.serving import Serving
from builds_async.resources.subscriptions import Subscriptions
from builds_async.resources.tokens import Tokens
from builds_async.resources.trigger_starts import TriggerStarts
from builds_async.resources.triggers import Triggers
from builds_async.resources.versions import Versions
from builds_async.resources.workers import Workers
from builds_async.results import BulkResult
from builds_async.session.aiohttp_transport import AiohttpTransport
from builds_async.session.budget import Budget, RateBudget
from builds_async.session.clock import Clock, SystemClock
from builds_async.session.credentials import Settings, resolve
from builds_async.session.custom_call import Query, custom_call
from builds_async.session.ids import checked_tags, identifier, normalized_id, segment, tag
from builds_async.session.numbers import seconds, whole
from builds_async.session.observe import Observer
from builds_async.session.retry import RetryPolicy
from builds_async.session.session import ApiSession
from builds_async.session.transport import Transport

T = TypeVar("T")


def _over_aiohttp(settings: Settings, session: aiohttp.ClientSession | None, timeout: float) -> Transport:
    return AiohttpTransport(settings.base_url, session=session, timeout=timeout, secrets=settings.secrets)


class _FollowOptions(TypedDict, total=False):
    start: LogPosition | None
    tail: int | None
    poll_interval: float
    max_poll_interval: float


class _TailOptions(TypedDict):
    tail: int | None
    interval: float
    poll_interval: float
    max_poll_interval: float


class _Closable(Protocol):
    async def aclose(self) -> None: ...


_C = TypeVar("_C", bound=_Closable)


class BuildsClient:
    """A client of the Workers Builds API for one account.

    https://developers.cloudflare.com/api/resources/workers_builds/

    Arguments that are None are read from the environment: `account_id` from CLOUDFLARE_ACCOUNT_ID,
    `api_token` from CLOUDFLARE_API_TOKEN, else `api_key` and `api_email` from CLOUDFLARE_API_KEY and
    CLOUDFLARE_EMAIL, `base_url` from CLOUDFLARE_BASE_URL or https://api.cloudflare.com/client/v4. A value
    that is still missing then, or can't be used, is a ConfigurationError; so is a credential that is passed
    but empty. A passed key or email address is completed from the environment by the other half of its pair,
    never by a token. Plain http is allowed for loopback addresses only. The account id is 32 hex digits;
    dashes and spaces in it are dropped.

    The token must be owned by a user and needs "Workers CI Read" ("Workers Builds Configuration: Read" in
    the dashboard); canceling a build needs "Workers CI Write".

    - `session`: an `aiohttp.ClientSession` of your own, with its proxy, TLS or tracing settings; the client
      never closes it. It must have no credentials (`auth=`, a netrc entry for the API), else a call is a
      ConfigurationError. Without one the client opens its own at the first call and closes it, and uses the
      proxy that HTTPS_PROXY or ALL_PROXY names (http and https proxies; a user and a password in its URL are
      sent to the proxy alone).
    - `transport`: carries the requests instead of aiohttp: `sim.transport` of a simulator, or your own
      `Transport`, which then decides about `base_url` and `timeout`. It is closed with the client.
    - `timeout`: seconds for one request, connect and body included (30); TypeError or ValueError unless it is
      above 0 and finite. Each retry has its own. Waiting for the rate budget does not count; use
      `asyncio.timeout` to limit that.
    - `retry`: see `RetryPolicy`.
    - `patience`: seconds of unbroken failure that a live verb (`follow`, `wait`, `wait_for_commit`, `watch`,
      `tail`, `events`, `broadcast`) sits out before it raises (300). Any success resets it. Only `transient`
      errors are sat out: failed connections, timeouts, 5xx, garbled bodies, and 429 however long it lasts.
      The retries of each call come first; then the verb pauses for 1 second, twice as long each time, up to
      15. 0 turns it off, infinity never raises.
    - `budget`: a `RateBudget`, or another `Budget`; pass one object to several
      clients of the same user. By default each client has its own.
    - `max_in_flight`: the most requests in flight at once (10), over all calls of the client.
    - `clock`: time as an argument, for tests.
    - `observer`: is called with each `RequestDone`, `RetryPlanned`, `Waited`, `OutageBegan`,
      `OutageEnded`, `LeaseTaken` and `LeaseLost`, for metrics; it must be quick and not raise. `Counters` is
      one that adds up.

    The credentials go to `base_url` only: not to a proxy, not to a redirect's target, not with a call that
    needs none, not with other requests of a borrowed session.

    Use it as `async with BuildsClient() as client:`, or call `aclose()`. A closed client stays closed: a
    call is a RuntimeError. Calls may run concurrently, in one asyncio event loop: from a second one, or where
    none runs (trio), a call is a RuntimeError that says so.
    """

    budget: Budget
    """The rate budget of this client; `client.budget.snapshot()` says what is left and until when."""

    builds: Builds
    """Builds and their logs."""

    workers: Workers
    """Workers: their names and tags, and their build configuration."""

    triggers: Triggers
    """Triggers, their variables, and builds started by hand."""

    previews: Previews
    """Previews of Workers, and their builds."""

    deploy_hooks: DeployHooks
    """URLs that start a build."""

    repos: Repos
    """Connected repositories."""

    tokens: Tokens
    """The API tokens with which builds deploy."""

    deployments: Deployments
    """What Workers serve."""

    versions: Versions
    """The uploads of Workers, whether they serve or not."""

    account: Account
    """Build minutes, and the account's subdomain."""

    subscriptions: Subscriptions
    """Event subscriptions, which put build events into a queue."""

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
        patience: float = 300.0,
        budget: Budget | None = None,
        max_in_flight: int = 10,
        clock: Clock = SystemClock(),  # noqa: B008  # has no state
        observer: Observer | None = None,
    ) -> None:
        timeout = seconds("timeout", timeout, above_zero=True)
        self._patience = seconds("patience", patience, infinite=True)
        max_in_flight = whole("max_in_flight", max_in_flight, at_least=1)
        settings = resolve(
            account_id=account_id,
            api_token=api_token,
            api_key=api_key,
            api_email=api_email,
            base_url=base_url,
        )
        self._account_id, self._credential_kind = settings.account_id, settings.credential_kind
        self._foreign_host, self._token_damage = settings.foreign_host, settings.token_damage
        self._name = f"account_id={settings.account_id!r}, base_url={settings.base_url!r}"
        self._clock, self._observer, self._outages = clock, observer, Outages(clock, observer)
        self.budget = budget if budget is not None else RateBudget()
        self._demand = Demand(clock, self.budget)
        if session is not None and transport is not None:
            raise ValueError("pass a session or a transport, not both: a transport has no use for a session")
        self._session = ApiSession(
            _over_aiohttp(settings, session, timeout) if transport is None else transport,
            f"/accounts/{segment(settings.account_id)}",
            retry=retry,
            budget=self.budget,
            max_in_flight=max_in_flight,
            clock=clock,
            credentials=settings.credentials,
            secrets=settings.secrets,
            observer=observer,
        )
        # What may have requests on their way: of this client, and of each that it was derived from.
        self._closables: tuple[WeakSet[_Closable], ...] = (WeakSet(),)
        self._set_up()

    def _set_up(self) -> None:
        """Make the resources, and what the live verbs share, over the session."""
        self.workers = Workers(self._session)
        self._single_calls = DatedBuilds(self._session)
        starts = TriggerStarts(self._session, self._single_calls, self.workers)
        self.builds = Builds(self._session, starts)
        self.triggers = Triggers(self._session, starts)
        self.previews = Previews(self._session)
        self.deploy_hooks = DeployHooks(self._session)
        self.repos = Repos(self._session)
        self.tokens = Tokens(self._session)
        self.deployments = Deployments(self._session)
        self.versions = Versions(self._session)
        self.account = Account(self._session)
        self.subscriptions = Subscriptions(self._session)
        self.queues = Queues(self._session)
        self._links = DashboardLinks(self._account_id, self.workers)
        self._polls = DatedBuilds(self._session.polling())
        self._board = self._closed_with_me(Board(self._polls, self._clock))
        self._broadcasts: WeakValueDictionary[str, LogBroadcast] = WeakValueDictionary()

    def _closed_with_me(self, it: _C) -> _C:
        for closables in self._closables:
            closables.add(it)
        return it

    def __repr__(self) -> str:
        return f"BuildsClient({self._name})"

    def with_options(
        self,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        patience: float | None = None,
    ) -> Self:
        """A client that differs in these options, and shares everything else: what is None stays as it is.

        `client.with_options(patience=0).follow(build_uuid)` raises on the first outage. Session, budget and
        the limit on requests in flight are shared, so a derived client costs nothing and need not be closed:
        closing it ends its own tails, event streams and broadcasts, closing this client ends all. A
        `transport` of your own finds the `timeout` in each request.
        """
        derived = copy.copy(self)
        derived._derive(timeout, retry, patience)  # noqa: SLF001  # a copy of ourselves
        return derived

    def _derive(self, timeout: float | None, retry: RetryPolicy | None, patience: float | None) -> None:
        if patience is not None:
            self._patience = seconds("patience", patience, infinite=True)
        self._closables = (*self._closables, WeakSet())
        self._broadcasts = WeakValueDictionary()
        if timeout is not None or retry is not None:
            timeout = None if timeout is None else seconds("timeout", timeout, above_zero=True)
            self._session = self._session.with_options(timeout=timeout, retry=retry)
            self._set_up()

    def _patience_of(self, verb: str) -> Patience:
        return Patience(self._clock, self._patience, verb=verb, outages=self._outages)

    async def __aenter__(self) -> Self:
        self._session.check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client and the session that it opened. Calling it again does nothing.

        Tails, event streams and broadcasts end at once. A call that waits for the rate budget, or between
        two polls, raises RuntimeError when its wait is over; to end it sooner, cancel it.
        """
        try:
            for closable in tuple(self._closables[-1]):
                await closable.aclose()
        finally:
            if len(self._closables) == 1:  # else the session is another client's
                await self._session.aclose()

    @property
    def account_id(self) -> str:
        """The id of the account, 32 hex digits, as it stands in paths of the API."""
        return self._account_id

    @overload
    async def request(
        self, method: str, path: str, *, query: Query = None, body: object = None
    ) -> object: ...
    @overload
    async def request(
        self, method: str, path: str, *, type: type[T], query: Query = None, body: object = None
    ) -> T: ...
    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        type: Any,  # noqa: ANN401  # unions are no `type[T]`
        query: Query = None,
        body: object = None,
    ) -> Any: ...  # noqa: ANN401  # as above
    async def request(
        self,
        method: str,
        path: str,
        *,
        type: Any = object,  # noqa: A002  # msgspec's word
        query: Query = None,
        body: object = None,
    ) -> Any:
        """Any call of Cloudflare's API, for what has no method here; gives the `result` of the response.

        `path` is what follows the base URL, as in `f"/accounts/{client.account_id}/queues"`: it begins with a
        slash, and names in it are percent-encoded. `method` is GET, POST, PUT, PATCH or DELETE. `query` has
        texts, numbers and bools; a None is left out. `body` is sent as JSON: anything that `msgspec` encodes,
        None for no body. For a list in pages, pass `page` in the query.

        The result is decoded as `type`: a model of this package, a Struct or dataclass of yours,
        `dict[str, int]` and so on. By default it is whatever JSON has, or None where the response to a change
        has no result.

        Budget, retries, timeout and errors are those of every call: a POST, PATCH or DELETE is repeated only
        if it can't have arrived, and a result that is not of `type` is a ResponseDecodeError, which does not
        show it. ValueError, and nothing is sent, for a path that would leave the base URL (another host,
        `..`, `//`), and for a credential in path or query. A secret in `body` is in an error only if the API
        repeats it in its own message.

        Needs the permission of the call.
        https://developers.cloudflare.com/api/
        """
        result = await self._session.at_root().send(custom_call(method, path, type, query, body))
        return (
            None if result is UNSET else result
        )  # a change that is done, of which the response says nothing

    async def dashboard_url(self, build: Build) -> str:
        """The address of a build's page in Cloudflare's dashboard.

        The address has the name of the Worker, which a build does not: the account's Workers are listed once,
        and again for a tag that is not among them. NotFoundError if the name can't be found. The form is that
        of Cloudflare's own notifications template; it is not documented, and may change.

        Needs "Workers Scripts Read".
        """
        return await self._links.of_build(build)

    async def preview_url(self, build: Build) -> str | None:
        """The address at which the version that a build has uploaded can be seen; None if there is none.

        It is `build.preview_url`, which a follower's `log.build` also has from the log; else that of
        `builds.get`; else `https://{first 8 digits of the version}-{name}.{subdomain}.workers.dev`. The last
        is given only if the build has proved to have made that version, if the version has a preview, and if
        the Worker has previews enabled: at any other address there is a placeholder, or nothing. None for a
        build that was not successful, unless it has a `preview_url`.

        Up to six requests, none for a build that has a `preview_url`. Needs "Workers CI Read", and "Workers
        Scripts Read" to derive the address.
        """
        return await PreviewLinks(self._session).of_build(build)

    async def diagnose(self) -> Diagnosis:
        """Check the credentials and the account before work starts, and say what is wrong and what to do.

        It finds the kind of the token (by its prefix, and by what the API says about it), whether the account
        can be reached, each permission that reading can show, and whether build minutes are left. That takes
        four reads and writes nothing, so it can't find whether builds may be started and canceled.

        Errors become findings and are not raised, even when the network is down. Needs no permission.
        """
        return await diagnose(
            verify=self.tokens.verify,
            limits=self.account.limits,
            scripts=partial(self.workers.search, per_page=1),
            queues=partial(self.subscriptions.list, per_page=1),
            account_id=self._account_id,
            looks_like=self._credential_kind,
            foreign_host=self._foreign_host,
            token_damage=self._token_damage,
        )

    def probe(self, build_uuid: str | None = None) -> AccountProbe:
        """Compares the API, as this account shows it, with what this package assumes about it.

        `report = await client.probe().run()` takes at most 30 requests that only read. `report.markdown` can
        be pasted into an issue. With `build_uuid` that build and its Worker are looked at, else the newest.

        Nothing is sent by this call. Needs "Workers CI Read".
        """
        return AccountProbe(
            self._session.with_options(retry=RetryPolicy(attempts=1)),
            kind=self._credential_kind,
            build_uuid=None if build_uuid is None else identifier(build_uuid),
            sleep=self._clock.sleep,
        )

    def token_repair(
        self,
        external_script_ids: Iterable[str] | None = None,
        *,
        build_token_uuid: str | None = None,
        new_token: NewBuildToken | None = None,
    ) -> TokenRepair:
        """Mends triggers whose build token is dead, so that each build fails within seconds.

        Take `await repair.plan()`, which only reads, show its `calls`, then `await repair.apply(plan)`.
        Without Workers (by tag) it looks at the whole account. `build_token_uuid` is the registered build
        token to use, `new_token` an API token to register; None for both lets the plan choose.

        Nothing is sent by this call. Needs "Workers CI Read", `apply` "Workers CI Write".
        """
        return TokenRepair(
            builds=self.builds,
            triggers=self.triggers,
            tokens=self.tokens,
            workers=self.workers,
            account_path=f"/accounts/{self._account_id}",
            external_script_ids=external_script_ids,
            build_token_uuid=build_token_uuid,
            new_token=new_token,
        )

    async def live(self, script_names: Iterable[str]) -> BulkResult[LiveWorker]:
        """What these Workers serve now: each version, its share of the traffic, and the build that made it.

        A version has its `build`, or the `reason` why there is none: see `NoBuildReason`. The latest
        successful build need not be live: a rollback, a changed secret or a deployment by hand may follow it,
        and a build may upload without deploying. In a gradual deployment two versions are live.

        Workers go by their names; any number of them, and the result has the names as they were passed. A
        Worker that was never deployed is in `missing`, an unknown one in `failed` as a NotFoundError. A token
        that may read no builds is a reason, not an error: deployments also take account-owned tokens. If the
        token may not even read deployments, the AuthenticationError or PermissionDeniedError is raised.

        It takes one request for each Worker, one for 20 versions, and one for each version without a build;
        they run concurrently within `max_in_flight` and budget. Needs "Workers Scripts Read", and "Workers CI
        Read" for builds.
        """
        return await Serving(self._session).look_up(script_names)

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

        `start` is the `position` of an earlier follower of this build: no line is lost or repeated. `tail`
        skips all but the last `tail` lines that exist now; 0 gives only new ones. A running build is polled
        every `poll_interval` seconds (1), less often up to `max_poll_interval` (5) while nothing comes, and
        less often still when the rate budget runs low. `LogFollower` says what is guaranteed and what is
        raised. Needs "Workers CI Read".
        """
        segment(build_uuid)
        return self._follower(
            "follow",
            build_uuid,
            start=start,
            tail=tail,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
        )

    def _follower(self, verb: str, build_uuid: str, **options: Unpack[_FollowOptions]) -> LogFollower:
        return LogFollower(
            self._polls,
            build_uuid,
            clock=self._clock,
            finished_source=self._single_calls,
            state=self._board.asker(build_uuid),
            patience=self._patience_of(verb),
            demand=self._demand,
            **options,
        )

    def broadcast(
        self, build_uuid: str, *, poll_interval: float = 1.0, max_poll_interval: float = 5.0
    ) -> LogBroadcast:
        """The log of a build for any number of readers: `async for line in broadcast.subscribe()`.

        All readers together cost the requests of one `follow`. Each gets the whole log from its first line,
        late ones included. As long as a broadcast is in use, further calls for the same build give the same
        one, with the intervals of the first call; they are those of `follow`. `LogBroadcast` says what is
        guaranteed. Needs "Workers CI Read".
        """
        segment(build_uuid)
        key = normalized_id(build_uuid)
        broadcast = self._broadcasts.get(key)
        if broadcast is None:
            log = self._follower(
                "broadcast", build_uuid, poll_interval=poll_interval, max_poll_interval=max_poll_interval
            )
            broadcast = self._closed_with_me(LogBroadcast(log))
            self._broadcasts[key] = broadcast
        return broadcast

    async def wait(self, build_uuid: str, *, poll_interval: float = 5.0) -> Build:
        """Wait until a build has finished, and return it: `stopped`, with its outcome.

        Reads no log. Polls every `poll_interval` seconds (5), a third as often while the build is queued, and
        never faster than the rate budget allows. A build that has no outcome 30 s after it stopped is
        returned without one.

        It has no time limit of its own, and a build may be queued for hours: use
        `async with asyncio.timeout(...)`. An outage is sat out for the client's `patience`; what else
        `builds.get` raises comes at once. Needs "Workers CI Read".
        """
        segment(build_uuid)
        return await wait.wait_for_build(
            self._board.asker(build_uuid),
            poll_interval=poll_interval,
            clock=self._clock,
            patience=self._patience_of("wait"),
        )

    async def wait_for_commit(
        self,
        external_script_id: str,
        commit_hash: str,
        *,
        branch: str | None = None,
        deployed: bool = False,
        poll_interval: float = 5.0,
    ) -> Build:
        """Wait until this Worker has a build of a commit, then until it has finished, and return it.

        `commit_hash` is the full hash or its beginning, at least 4 digits; ValueError if several commits
        begin with it. With `branch`, only builds of that branch count. If the commit was built more than
        once, or is built again meanwhile, the newest build counts. The commit is looked for among the
        Worker's last 200 builds. A build that was started without a commit is never found: `wait` for it by
        its `build_uuid`.

        A build that succeeded need not have deployed. With `deployed=True` it is returned only once a version
        of it serves traffic, whatever its share: `client.live` has the share, and less than 100 percent is a
        warning in the log `builds_async`. Otherwise a NotDeployedError says what serves instead and since
        when. It is raised as soon as a later deployment has replaced the build's, at once for a build that
        was not successful, and else 30 s after the build has stopped: a build deploys while it runs, so only
        a copy that lags can still hide its deployment. The returned build may have the outcome `fail`, if a
        command behind the deployment has failed.

        Polling, time limit and errors are those of `wait`. With `deployed=True` it needs "Workers Scripts
        Read" as well, and raises a PermissionDeniedError before it waits.
        """
        tag(external_script_id)
        wait.checked_commit(commit_hash)
        patience = self._patience_of("wait_for_commit")
        deployment = None
        if deployed:
            served = ServedBuilds(self._session.polling())
            deployment = DeploymentWait(
                served, external_script_id, poll_interval=poll_interval, clock=self._clock, patience=patience
            )
            await deployment.prepare()
        build = await wait.wait_for_commit(
            self._polls,
            self._board.asker,
            external_script_id,
            commit_hash,
            branch=branch,
            poll_interval=poll_interval,
            clock=self._clock,
            patience=patience,
        )
        if deployment is not None:
            await deployment.until_deployed(build)
        return build

    @overload
    def watch(
        self,
        external_script_ids: Iterable[str] | None = None,
        *,
        start: WatchPosition | None = None,
        interval: float = 15.0,
    ) -> BuildWatcher: ...
    @overload
    def watch(
        self, external_script_ids: Iterable[str], *, fleet: Ownership, interval: float = 15.0
    ) -> SharedWatcher: ...
    def watch(
        self,
        external_script_ids: Iterable[str] | None = None,
        *,
        fleet: Ownership | None = None,
        start: WatchPosition | None = None,
        interval: float = 15.0,
    ) -> BuildWatcher | SharedWatcher:
        """The changes of the builds of these Workers, without end: `async for change in client.watch(tags)`.

        None stands for all Workers of the account, and for those to come. First comes the latest build of
        each Worker, then each new build, status and outcome once. One request asks for 20 Workers, every
        `interval` seconds (15) or as the rate budget allows: a thousand Workers are 50 requests a pass.
        `start` is the `position` of an earlier watch. `BuildWatcher` says what is guaranteed. Needs "Workers
        CI Read"; without ids "Workers Scripts Read" as well.

        With `fleet` each Worker is watched by one of its members, and positions are kept in the fleet's
        engine: see `SharedWatcher`. It needs the tags of the Workers, and takes no start: ValueError.
        """
        if fleet is not None and (external_script_ids is None or start is not None):
            raise ValueError("with a fleet, pass the tags of the Workers, and no start")
        ids = () if external_script_ids is None else checked_tags(external_script_ids)
        watcher = BuildWatcher(
            self._polls,
            ids if fleet is None else (),
            interval=interval,
            clock=self._clock,
            start=start,
            account=self._all_workers() if external_script_ids is None else None,
            patience=self._patience_of("watch"),
        )
        if fleet is None:
            return watcher
        shared = SharedWatcher(ids, watcher, fleet=fleet, clock=self._clock, observer=self._observer)
        return self._closed_with_me(shared)

    @overload
    def tail(
        self,
        external_script_ids: Iterable[str] | None = None,
        *,
        start: TailPosition | None = None,
        tail: int | None = None,
        events: str | None = None,
        interval: float = 10.0,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
    ) -> BuildTail: ...
    @overload
    def tail(
        self,
        external_script_ids: Iterable[str],
        *,
        fleet: Ownership | None = None,
        store: PositionStore,
        max_lines: int = 100,
        tail: int | None = None,
        interval: float = 10.0,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
    ) -> TailBatches: ...
    @overload
    def tail(
        self,
        external_script_ids: Iterable[str],
        *,
        fleet: Ownership,
        store: PositionStore | None = None,
        max_lines: int = 100,
        tail: int | None = None,
        interval: float = 10.0,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
    ) -> TailBatches: ...
    def tail(
        self,
        external_script_ids: Iterable[str] | None = None,
        *,
        fleet: Ownership | None = None,
        store: PositionStore | None = None,
        max_lines: int = 100,
        start: TailPosition | None = None,
        tail: int | None = None,
        events: str | None = None,
        interval: float = 10.0,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
    ) -> BuildTail | TailBatches:
        """The log lines and ends of all builds of these Workers: `async for item in client.tail(tags)`.

        None stands for all Workers of the account, and for those to come. Builds that run now come from their
        first line; `tail` skips all but the last `tail` lines that they have. New builds are found by
        themselves, every `interval` seconds (10), or with `events` by the events of that queue, as
        `client.events` reads them; no other consumer may read the queue. It never ends. Each log is polled
        every `poll_interval` seconds (1), less often up to `max_poll_interval` (5) while nothing comes, or as
        the rate budget allows. `start` is the `position` of an earlier tail. `BuildTail` says what is
        guaranteed. Needs "Workers CI Read"; without ids "Workers Scripts Read", with `events` "Queues Write"
        as well.

        With `store` the lines come in batches of one Worker, at most `max_lines` (100), and the position of
        each Worker is kept in the store: `async for batch in client.tail(tags, store=FileStore("bot.json"))`
        goes on where the last run has ended. With `fleet` each Worker is followed by one of its members, and
        the store is by default the fleet's. `TailBatches` says what is guaranteed. Both need the tags of the
        Workers (`client.workers.names()` lists them), and take neither `start` nor `events`: ValueError.
        """
        if store is None and fleet is None:
            return self._tail(
                external_script_ids,
                start,
                tail=tail,
                events=events,
                interval=interval,
                poll_interval=poll_interval,
                max_poll_interval=max_poll_interval,
            )
        if external_script_ids is None or start is not None or events is not None:
            raise ValueError(
                "with a store or a fleet, pass the tags of the Workers, and no start and no events"
            )
        make = partial(
            self._tail,
            tail=tail,
            interval=interval,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
        )
        batches = TailBatches(
            external_script_ids,
            make,
            store=store,
            fleet=fleet,
            clock=self._clock,
            max_lines=max_lines,
            observer=self._observer,
        )
        return self._closed_with_me(batches)

    def _tail(
        self,
        external_script_ids: Iterable[str] | None,
        start: TailPosition | None,
        *,
        events: str | None = None,
        **options: Unpack[_TailOptions],
    ) -> BuildTail:
        stream = BuildTail(
            self._polls,
            () if external_script_ids is None else checked_tags(external_script_ids),
            clock=self._clock,
            start=start,
            patience=self._patience_of("tail"),
            budget=self.budget,
            account=self._all_workers() if external_script_ids is None else None,
            events=None if events is None else self._events_for_tail(events),
            **options,
        )
        return self._closed_with_me(stream)

    def _events_for_tail(self, queue_id: str) -> EventStream:
        return self.events(queue_id, batch_size=100, poll_interval=4.0, max_poll_interval=5.0)

    def _all_workers(self) -> AccountWorkers:
        return AccountWorkers(Workers(self._session.polling()), self._clock)

    @overload
    def events(
        self,
        queue_id: str,
        *,
        batch_size: int = 10,
        visibility_timeout: float = 120.0,
        poll_interval: float = 2.0,
        max_poll_interval: float = 15.0,
    ) -> EventStream: ...
    @overload
    def events(
        self,
        queue_id: str,
        *,
        fleet: Ownership,
        batch_size: int = 10,
        visibility_timeout: float = 120.0,
        poll_interval: float = 2.0,
        max_poll_interval: float = 15.0,
    ) -> SharedEvents: ...
    def events(
        self,
        queue_id: str,
        *,
        fleet: Ownership | None = None,
        batch_size: int = 10,
        visibility_timeout: float = 120.0,
        poll_interval: float = 2.0,
        max_poll_interval: float = 15.0,
    ) -> EventStream | SharedEvents:
        """The build events of a Cloudflare Queue, without end: `async for event in client.events(queue_id)`.

        Each event is acknowledged when the next one is requested. A pull leases up to `batch_size` events
        (10) for `visibility_timeout` seconds (120). An empty queue is pulled every `poll_interval` seconds
        (2), less often up to `max_poll_interval` (15), or as the rate budget allows. `EventStream` says what
        is guaranteed. The queue needs an event subscription to Workers Builds and an HTTP pull consumer.
        Needs "Queues Write" ("Queues Edit" in the dashboard).

        With `fleet` one of its members pulls, and another one goes on when it is gone: see `SharedEvents`.
        """
        segment(queue_id)

        def make(acknowledged: Iterable[tuple[str, str]] = ()) -> EventStream:
            return EventStream(
                Queues(self._session.polling()),
                queue_id,
                clock=self._clock,
                batch_size=batch_size,
                visibility_timeout=visibility_timeout,
                poll_interval=poll_interval,
                max_poll_interval=max_poll_interval,
                patience=self._patience_of("events"),
                acknowledged=acknowledged,
            )

        if fleet is None:
            return self._closed_with_me(make())
        return self._closed_with_me(SharedEvents(queue_id, make, fleet=fleet, clock=self._clock))
