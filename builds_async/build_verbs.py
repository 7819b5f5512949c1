"""The live verbs for one build: follow, broadcast, wait, wait_for_commit."""

from typing import Protocol, TypedDict, TypeVar, Unpack
from weakref import WeakSet, WeakValueDictionary

from builds_async.errors import BuildsError
from builds_async.live import wait
from builds_async.live.board import Board
from builds_async.live.broadcast import LogBroadcast
from builds_async.live.demand import Demand
from builds_async.live.deployed import DeploymentWait
from builds_async.live.follow import LogFollower
from builds_async.live.outages import Outages
from builds_async.live.patience import Patience
from builds_async.models.builds import Build
from builds_async.models.logs import LogPosition
from builds_async.resources.builds import DatedBuilds
from builds_async.resources.served import ServedBuilds
from builds_async.session.budget import Budget
from builds_async.session.clock import Clock
from builds_async.session.ids import normalized_id, segment, tag
from builds_async.session.numbers import seconds
from builds_async.session.observe import Observer
from builds_async.session.session import ApiSession


class _FollowOptions(TypedDict, total=False):
    start: LogPosition | None
    tail: int | None
    poll_interval: float
    max_poll_interval: float


class _Closable(Protocol):
    async def aclose(self) -> None: ...


_C = TypeVar("_C", bound=_Closable)


class BuildVerbs:
    """The live verbs of a client for one build, and the parts that all live verbs of one client share.

    These parts are the states of builds, the demand for polls, and the report of an outage. An invalid
    argument is a ValueError or TypeError.
    """

    budget: Budget
    """The rate budget of this client; `client.budget.snapshot()` is its present state."""

    _session: ApiSession
    _broadcasts: WeakValueDictionary[str, LogBroadcast]

    def _set_up_verbs(
        self, *, budget: Budget, clock: Clock, observer: Observer | None, patience: float
    ) -> None:
        self.budget, self._clock, self._observer = budget, clock, observer
        self._set_patience(patience)
        self._outages, self._demand = Outages(clock, observer), Demand(clock, budget)
        # What a client ends when it closes: one set for each client that this one derives from, its own last.
        self._closables: tuple[WeakSet[_Closable], ...] = (WeakSet(),)

    def _derive_verbs(self, patience: float | None) -> None:
        """Give the copy of a client its own closables and broadcasts."""
        if patience is not None:
            self._set_patience(patience)
        self._closables = (*self._closables, WeakSet())
        self._broadcasts = WeakValueDictionary()

    def _set_up_shared_parts(self) -> None:
        """Make the shared parts of the verbs that send requests over the session."""
        self._single_calls = DatedBuilds(self._session)
        self._polls = DatedBuilds(self._session.polling())
        self._board = self._register(Board(self._polls, self._clock))
        self._broadcasts = WeakValueDictionary()

    async def _close_verbs(self) -> None:
        """Close all verbs, then raise the first error."""
        failures = list[BuildsError]()
        for closable in tuple(self._closables[-1]):
            try:
                await closable.aclose()
            except BuildsError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def follow(
        self,
        build_uuid: str,
        *,
        start: LogPosition | None = None,
        tail: int | None = None,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
        wait: bool = True,
    ) -> LogFollower:
        """The log of a build, line by line while it is written, until the build has finished.

        `start` is the `position` of an earlier follower of this build: no line is lost or repeated. `tail`
        skips all but the last `tail` lines that exist now; 0 gives only new ones. With `wait=False` the log
        ends after the last line that exists now; the follower does not pause, and raises each error at once.
        `follow(build_uuid, start=log.position)` gives the later lines.

        A running build is polled every `poll_interval` seconds (1). The pauses grow up to `max_poll_interval`
        (5) while there are no new lines, and further when the rate budget runs low. `LogFollower` lists the
        guarantees and the errors. Needs "Workers CI Read".
        """
        segment(build_uuid)
        if not wait:
            return LogFollower(
                self._single_calls, build_uuid, clock=self._clock, start=start, tail=tail, wait=False
            )
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

        All readers together cost the requests of one `follow`. Each reader gets the whole log from its first
        line, even one that starts late. While a broadcast is in use, further calls for the same build return
        it, with the intervals of the first call. The intervals are those of `follow`. `LogBroadcast` lists
        the guarantees. Needs "Workers CI Read".
        """
        segment(build_uuid)
        key = normalized_id(build_uuid)
        broadcast = self._broadcasts.get(key)
        if broadcast is None:
            log = self._follower(
                "broadcast", build_uuid, poll_interval=poll_interval, max_poll_interval=max_poll_interval
            )
            broadcast = self._register(LogBroadcast(log))
            self._broadcasts[key] = broadcast
        return broadcast

    async def wait(self, build_uuid: str, *, poll_interval: float = 5.0) -> Build:
        """Wait until a build has finished, and return it: `stopped`, with its outcome.

        Reads no log. Polls every `poll_interval` seconds (5), a third as often while the build is queued, and
        never faster than the rate budget allows. A build that has no outcome 30 s after it stopped is
        returned without one.

        It has no time limit of its own, and a build may be queued for hours: put `asyncio.timeout` around it.
        An outage is sat out for the client's `patience`; any other error of `builds.get` is raised at once.

        Needs "Workers CI Read".
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
        finished: bool = True,
        deployed: bool = False,
        poll_interval: float = 5.0,
    ) -> Build:
        """Wait until this Worker has a build of a commit, then until it has finished, and return it.

        `commit_hash` is the full hash or its beginning, at least 4 digits; ValueError if several commits
        begin with it. With `branch`, only builds of that branch count. If the commit is built more than once,
        the newest build counts, even if it starts during the wait. Only the Worker's last 200 builds are
        searched. A build that was started without a commit is never found: `wait` for it by its `build_uuid`.
        With `finished=False` the build is returned as soon as it exists, for example to follow its log.

        A successful build does not always deploy. With `deployed=True` the build is returned only once a
        version of it serves traffic, whatever its share. `client.live` gives the share; if it is less than
        100 percent, the logger `builds_async` gets a warning. The returned build has the outcome `fail` if a
        command after its deployment failed.

        If no version of the build serves traffic, a NotDeployedError names the versions that do, and since
        when. It is raised:

        - at once, if the build has neither succeeded nor deployed;
        - as soon as a later deployment has replaced the deployment of the build;
        - otherwise 30 s after the build has stopped. A build deploys before it stops, but the API may answer
          from a copy that lags.

        Polling, time limit and errors are those of `wait`. With `deployed=True` it needs "Workers Scripts
        Read" as well, and raises a PermissionDeniedError before it waits.
        """
        tag(external_script_id)
        wait.checked_commit(commit_hash)
        if deployed and not finished:
            raise ValueError("deployed=True waits for the end of the build: omit finished=False")
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
            finished=finished,
            poll_interval=poll_interval,
            clock=self._clock,
            patience=patience,
        )
        if deployment is not None:
            await deployment.until_deployed(build)
        return build

    def _register(self, it: _C) -> _C:
        """Have a verb closed with the client, and return it."""
        for closables in self._closables:
            closables.add(it)
        return it

    def _set_patience(self, patience: float) -> None:
        self._patience = seconds("patience", patience, infinite=True)

    def _patience_of(self, verb: str) -> Patience:
        return Patience(self._clock, self._patience, verb=verb, outages=self._outages)
