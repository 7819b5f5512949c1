"""The client: owns the session, and has the resources and the live verbs."""

import copy
from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import aiohttp
from msgspec import UNSET

from builds_async.live.summary import read_summary
from builds_async.live_verbs import LiveVerbs
from builds_async.models.builds import Build
from builds_async.models.diagnosis import Diagnosis
from builds_async.models.live import LiveWorker
from builds_async.models.repair import NewBuildToken
from builds_async.models.summary import LogSummary
from builds_async.probe.probe import AccountProbe
from builds_async.repair import TokenRepair
from builds_async.resources.account import Account
from builds_async.resources.builds import Builds
from builds_async.resources.dashboard import DashboardLinks
from builds_async.resources.deploy_hooks import DeployHooks
from builds_async.resources.deployments import Deployments
from builds_async.resources.preview_links import PreviewLinks
from builds_async.resources.previews import Previews
from builds_async.resources.queues import Queues
from builds_async.resources.repos import Repos
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
from builds_async.session.ids import identifier, segment
from builds_async.session.numbers import seconds, whole
from builds_async.session.observe import Observer
from builds_async.session.retry import RetryPolicy
from builds_async.session.session import ApiSession
from builds_async.session.transport import Transport

T = TypeVar("T")


def _over_aiohttp(settings: Settings, session: aiohttp.ClientSession | None, timeout: float) -> Transport:
    return AiohttpTransport(settings.base_url, session=session, timeout=timeout, secrets=settings.secrets)


class BuildsClient(LiveVerbs):
    """A client of the Workers Builds API for one account.

    https://developers.cloudflare.com/api/resources/workers_builds/

    Arguments that are None are read from the environment: `account_id` from CLOUDFLARE_ACCOUNT_ID,
    `api_token` from CLOUDFLARE_API_TOKEN, else `api_key` and `api_email` from CLOUDFLARE_API_KEY and
    CLOUDFLARE_EMAIL, `base_url` from CLOUDFLARE_BASE_URL or https://api.cloudflare.com/client/v4. A missing
    or invalid value is a ConfigurationError, and so is an empty credential. If only `api_key` or only
    `api_email` is passed, the other one is read from the environment, and a token there is ignored. Plain
    http is allowed for loopback addresses only. The account id is 32 hex digits; dashes and spaces in it are
    dropped.

    The token must be owned by a user and needs "Workers CI Read" ("Workers Builds Configuration: Read" in
    the dashboard); canceling a build needs "Workers CI Write".

    - `session`: an `aiohttp.ClientSession` of your own, with its proxy, TLS or tracing settings; the client
      never closes it. It must have no credentials (`auth=`, a netrc entry for the API), else a call is a
      ConfigurationError. Without one the client opens its own at the first call and closes it, and uses the
      proxy that HTTPS_PROXY or ALL_PROXY names (http and https proxies; a user and a password in its URL are
      sent to the proxy alone).
    - `transport`: carries the requests instead of aiohttp: `sim.transport` of a simulator, or your own
      `Transport`, which then decides about `base_url` and `timeout`. It is closed with the client. ValueError
      together with `session`.
    - `timeout`: seconds for one request, connect and body included (30); TypeError or ValueError unless it is
      above 0 and finite. Each retry has its own. Waiting for the rate budget does not count; use
      `asyncio.timeout` to limit that.
    - `retry`: see `RetryPolicy`.
    - `patience`: seconds of unbroken failure that a live verb (`follow`, `wait`, `wait_for_commit`, `watch`,
      `tail`, `events`, `broadcast`) sits out before it raises (300). Any success resets it. Only `transient`
      errors are sat out: failed connections, timeouts, 5xx, garbled bodies, and 429 however long it lasts.
      After the retries of a call, the verb pauses for 1 second. Each further pause is twice as long, up to 15
      seconds. With 0 the first failure is raised; with infinity none is.
    - `budget`: a `RateBudget`, or another `Budget`; pass one object to several clients of the same user. By
      default each client has its own.
    - `max_in_flight`: the maximum number of requests in flight (10), over all calls of the client.
    - `clock`: replaces the machine's monotonic clock in tests.
    - `observer`: is called with each `Observation`, for metrics: requests, retries, waits, outages, leases,
      and the `Rationed` and `GateClosed` of a `SharedBudget`. It must be quick and must not raise. `Counters`
      is a ready-made observer.

    The credentials go to `base_url` only: not to a proxy, not to a redirect's target, not with a call that
    needs none, not with other requests of a borrowed session.

    Use it as `async with BuildsClient() as client:`, or call `aclose()`. A closed client stays closed: a
    call is a RuntimeError. Calls may run concurrently in one asyncio event loop. A call from another loop, or
    without one (trio), is a RuntimeError.
    """

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
    """Deployments of Workers: the versions that serve traffic."""

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
        budget = budget if budget is not None else RateBudget()
        self._set_up_verbs(budget=budget, clock=clock, observer=observer, patience=patience)
        if session is not None and transport is not None:
            raise ValueError("pass a session or a transport, not both: a transport has no use for a session")
        self._session = ApiSession(
            _over_aiohttp(settings, session, timeout) if transport is None else transport,
            f"/accounts/{segment(settings.account_id)}",
            retry=retry,
            budget=budget,
            max_in_flight=max_in_flight,
            clock=clock,
            credentials=settings.credentials,
            secrets=settings.secrets,
            observer=observer,
        )
        self._set_up()

    def _set_up(self) -> None:
        """Make the resources, and the shared parts of the live verbs, over the session."""
        self._set_up_shared_parts()
        self.workers = Workers(self._session)
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

    def __repr__(self) -> str:
        return f"BuildsClient({self._name})"

    def with_options(
        self,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        patience: float | None = None,
    ) -> Self:
        """A client with these options that shares everything else. An option that is None is not changed.

        `client.with_options(patience=0).follow(build_uuid)` raises on the first outage. Session, budget and
        the limit on requests in flight are shared, so a derived client costs nothing and need not be closed.
        Closing it ends its own tails, event streams and broadcasts; closing this client ends those of all
        derived clients too. A `transport` of your own finds the `timeout` in each request. TypeError or
        ValueError for an invalid number.
        """
        derived = copy.copy(self)
        derived._derive(timeout, retry, patience)  # noqa: SLF001  # a copy of ourselves
        return derived

    def _derive(self, timeout: float | None, retry: RetryPolicy | None, patience: float | None) -> None:
        self._derive_verbs(patience)
        if timeout is not None or retry is not None:
            timeout = None if timeout is None else seconds("timeout", timeout, above_zero=True)
            self._session = self._session.with_options(timeout=timeout, retry=retry)
            self._set_up()

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
            await self._close_verbs()
        finally:
            if len(self._closables) == 1:  # else the session is another client's
                await self._session.aclose()

    @property
    def account_id(self) -> str:
        """The id of the account, 32 hex digits, as used in paths of the API."""
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
        type: Any,  # noqa: ANN401  # a union is not a `type[T]`
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
        """Call any endpoint of Cloudflare's API that has no method here; return its `result`.

        `path` is the part after the base URL, as in `f"/accounts/{client.account_id}/queues"`: it begins with
        a slash, and names in it are percent-encoded. `method` is GET, POST, PUT, PATCH or DELETE. `query` has
        texts, numbers and bools; a None is left out. `body` is sent as JSON: anything that `msgspec` encodes,
        None for no body. For a list in pages, pass `page` in the query.

        The result is decoded as `type`, such as a model of this package, a Struct or dataclass of your own,
        or `dict[str, int]`. By default it is the decoded JSON, or None if the response to a change has no
        result.

        Budget, retries, timeout and errors are those of every call. A POST, PATCH or DELETE is repeated only
        if it can't have taken effect. A result that is not of `type` is a ResponseDecodeError, which does not
        show the result. A path that would leave the base URL (another host, `..`, `//`) is a ValueError, and
        so is a credential in path or query; nothing is sent then. A secret in `body` is in an error only if
        the API repeats it in its own message.

        Needs the permission of the call.
        https://developers.cloudflare.com/api/
        """
        result = await self._session.at_root().send(custom_call(method, path, type, query, body))
        # The response to a change may have no result.
        return None if result is UNSET else result

    async def dashboard_url(self, build: Build) -> str:
        """The address of a build's page in Cloudflare's dashboard.

        The address contains the name of the Worker, which a build lacks. So the account's Workers are listed
        once, and again for an unknown tag. NotFoundError if the name can't be found. The form of the address
        is that of Cloudflare's own notifications template. It is not documented, and may change.

        Needs "Workers Scripts Read".
        """
        return await self._links.of_build(build)

    async def preview_url(self, build: Build) -> str | None:
        """The preview URL of the version that a build uploaded; None if there is none.

        It is `build.preview_url`, which a follower also reads from the log; else the one from `builds.get`;
        else `https://{first 8 digits of the version}-{name}.{subdomain}.workers.dev`. That last form is used
        only if the API confirms that the build made the version, that the version has a preview, and that the
        Worker has previews enabled. Otherwise the address would show a placeholder or nothing. None for a
        build that was not successful, unless it has a `preview_url`.

        It takes up to six requests, and none for a build that has a `preview_url`. Needs "Workers CI Read",
        and "Workers Scripts Read" to derive the address.
        """
        return await PreviewLinks(self._session).of_build(build)

    async def summarize(self, build: Build) -> LogSummary:
        """Summarize a build's log: the reason for a failure with the lines around it, steps and versions.

        Reads at most 20 pages. The log of a finished build is read to its end, as `follow` does, even if the
        last lines are late. The log of any other build is read up to its current end. A reason is given only
        if the build has failed and the whole log was read. Errors are those of `follow`. To show lines as
        they arrive, follow the build and pass its lines to `build.failure_reason`.

        Needs "Workers CI Read".
        """
        return await read_summary(self.follow(build.build_uuid, wait=build.is_finished), build)

    async def diagnose(self) -> Diagnosis:
        """Check the credentials and the account before work starts, and report each problem with its remedy.

        It checks the kind of the token (by its prefix and the API's response), access to the account, each
        permission that a read can prove, and the remaining build minutes. It makes four reads and no writes,
        so it can't check whether the token may start and cancel builds.

        Errors become findings and are not raised, even when the network is down. Needs no permission.
        """
        from builds_async.diagnose import diagnose  # noqa: PLC0415  # most programs never do

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
        """A probe, which compares the API of this account with the assumptions of this package.

        `report = await client.probe().run()` takes at most 30 requests that only read. `report.markdown` can
        be pasted into an issue. The probe reads the build `build_uuid` and its Worker, or by default the
        newest builds.

        This call itself sends nothing. Needs "Workers CI Read".
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
        """A repair of the triggers with a dead build token, whose builds all fail within seconds.

        `plan = await repair.plan()` only reads. Show its `calls`, then `await repair.apply(plan)` makes them.
        `external_script_ids` are the tags of Workers; None covers the whole account. `build_token_uuid` is
        the registered build token to use, `new_token` an API token to register. Without either, the plan
        chooses. ValueError for both, or for an invalid id.

        This call itself sends nothing. Needs "Workers CI Read", `apply` "Workers CI Write".
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
        """The versions that these Workers serve now, each with its share of the traffic and its build.

        A version has its `build`, or the `reason` why there is none: see `NoBuildReason`. The latest
        successful build need not be live: a rollback, a changed secret or a deployment by hand may follow it,
        and a build may upload without deploying. In a gradual deployment two versions are live.

        Pass any number of Worker names; the result is keyed by the names as passed. A Worker that was never
        deployed is in `missing`, an unknown one in `failed` with a NotFoundError. If the token has no access
        to builds, that is the `reason` of each version, not an error, because account-owned tokens can read
        deployments. A token without access to deployments raises AuthenticationError or
        PermissionDeniedError.

        It takes one request for each Worker, one for 20 versions, and one for each version without a build;
        they run concurrently within `max_in_flight` and budget. Needs "Workers Scripts Read", and "Workers CI
        Read" for builds.
        """
        return await Serving(self._session).look_up(script_names)
