"""Waiting until a finished build serves traffic; otherwise an error with the versions that serve instead."""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from builds_async.errors import BuildsError, NotDeployedError
from builds_async.live.finish import OUTCOME_WAIT
from builds_async.live.pace import Pace
from builds_async.live.patience import Patience
from builds_async.models.builds import Build, usable_date
from builds_async.models.live import LiveVersion, LiveWorker, NoBuildReason, NotDeployedReason
from builds_async.models.served import RecentDeployments, Uploads
from builds_async.models.text import plain
from builds_async.session.clock import Clock
from builds_async.session.ids import normalized_id, tag
from builds_async.session.numbers import seconds

DEPLOY_WAIT = OUTCOME_WAIT
"""Seconds that a deployment has to appear after its build has stopped: as long as a late outcome has.

A build makes its deployment while it runs, so only a copy that lags can hide it.
"""

_MAX_LISTED = 10  # the API lists no more deployments

logger: logging.Logger = logging.getLogger("builds_async")

T = TypeVar("T")


class DeploymentSource(Protocol):
    """The versions that Workers serve, and those that builds have uploaded."""

    async def name_of(self, tag: str) -> str | None:
        """The name of a Worker; None if the list of Workers lacks it."""
        ...

    async def recent_deployments(self, script_name: str, build_uuid: str) -> RecentDeployments:
        """The newest deployments of a Worker, and which of their versions a build has made."""
        ...

    async def uploads(self, script_name: str, build: Build) -> Uploads:
        """The versions that a finished build has uploaded."""
        ...

    async def live(self, script_name: str) -> LiveWorker | None:
        """The versions that serve now, each with its build or a reason; None if there was no deployment."""
        ...


class DeploymentWait:
    """Waits until a Worker serves a version of a build.

    Call `prepare` before you wait for the build: a token without access to Workers then fails at once, not
    after the build. Outages are sat out as in any live verb.
    """

    def __init__(
        self,
        source: DeploymentSource,
        external_script_id: str,
        *,
        poll_interval: float,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._source = source
        self._tag = tag(external_script_id)
        self._interval = seconds("poll_interval", poll_interval, above_zero=True)
        self._pace = Pace(clock, self._interval)
        self._clock = clock
        self._patience = patience
        self._name: str | None = None

    async def prepare(self) -> None:
        """Look up the name of the Worker: the API lists deployments by name, not by tag."""
        self._name = await self._try(partial(self._source.name_of, self._tag))

    async def until_deployed(self, build: Build) -> None:
        """Wait until a version of the build serves; NotDeployedError once it is clear that none will.

        `BuildsClient.wait_for_commit` says when that is clear.
        """
        self._pace.due = self._clock.now()
        deadline = self._clock.now() + DEPLOY_WAIT
        while True:
            recent = await self._recent_deployments(build)
            if self._serves(recent, build):
                return
            now = self._clock.now()
            if now >= deadline or _is_settled(recent, build):
                self._pace.due = now
                error = await self._try(partial(self._explain, recent, build))
                if error is None:
                    return
                raise error
            # The last request is made at the deadline, not up to an interval later.
            self._pace.due = min(self._pace.due, deadline)

    async def _recent_deployments(self, build: Build) -> RecentDeployments:
        async def attempt() -> RecentDeployments:
            # Before its first deployment a Worker is in no list of names.
            self._name = self._name or await self._source.name_of(self._tag)
            if self._name is None:
                return RecentDeployments((), frozenset(), None)
            return await self._source.recent_deployments(self._name, build.build_uuid)

        return await self._try(attempt)

    async def _try(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The result of `attempt`, which is repeated for as long as the patience lasts."""
        while True:
            requested_at = await self._pace.turn(not_before=self._patience.due)
            self._pace.next_after(requested_at)
            try:
                result = await attempt()
            except BuildsError as error:
                if not self._patience.outlasts(error):
                    raise
                continue
            self._patience.succeeded()
            return result

    def _serves(self, recent: RecentDeployments, build: Build) -> bool:
        current = recent.deployments[0].versions if recent.deployments else ()
        # A version with 0 percent is deployed, but gets no traffic.
        serving = [it for it in current or () if it.version_id in recent.own and it.percentage != 0]
        shares = [it.percentage for it in serving if it.percentage is not None]
        if shares and sum(shares) < 100:
            logger.warning(
                "build %s has %g%% of the traffic of %s: another version serves the rest",
                build.build_uuid,
                sum(shares),
                self._name,
            )
        return bool(serving)

    async def _explain(self, recent: RecentDeployments, build: Build) -> NotDeployedError | None:
        """Why the build does not serve; None if it has begun to serve meanwhile."""
        if self._name is None:
            return _error(build, _without_uploads(build), None)
        serving = await self._source.live(self._name)
        if serving is not None and _is_live(serving, build):
            return None  # it was deployed between the two requests
        if not build.succeeded:
            reason = NotDeployedReason.UNSUCCESSFUL
        elif recent.own:
            reason = _replacement(serving)
        else:
            reason = _undeployed(recent, await self._source.uploads(self._name, build), serving, build)
        return _error(build, reason, serving)


def _is_live(serving: LiveWorker, build: Build) -> bool:
    return any(
        it.build is not None
        and normalized_id(it.build.build_uuid) == normalized_id(build.build_uuid)
        and it.percentage != 0
        for it in serving.versions
    )


def _is_settled(recent: RecentDeployments, build: Build) -> bool:
    """Whether no later lookup can show that the build serves, unless it is deployed again."""
    if recent.own or not build.succeeded:
        return True
    stopped = usable_date(build.stopped_on)
    # Both dates are the server's, so a wrong clock of this machine does no harm.
    age = None if stopped is None or recent.date is None else recent.date - stopped
    return age is not None and age >= timedelta(seconds=DEPLOY_WAIT)


def _without_uploads(build: Build) -> NotDeployedReason:
    return NotDeployedReason.NOTHING_UPLOADED if build.succeeded else NotDeployedReason.UNSUCCESSFUL


def _replacement(serving: LiveWorker | None) -> NotDeployedReason:
    """Why a build that was deployed does not serve any more."""
    if serving is None:
        return NotDeployedReason.SUPERSEDED
    if serving.deployment.triggered_by == "rollback":
        return NotDeployedReason.ROLLED_BACK
    return NotDeployedReason.SPLIT if len(serving.versions) > 1 else NotDeployedReason.SUPERSEDED


def _undeployed(
    recent: RecentDeployments, uploads: Uploads, serving: LiveWorker | None, build: Build
) -> NotDeployedReason:
    """Why no listed deployment is of the build."""
    if uploads.versions and _reaches_back(recent, build):
        return NotDeployedReason.UPLOADED_ONLY
    if not uploads.versions and uploads.is_certain:
        return NotDeployedReason.NOTHING_UPLOADED
    return _replacement(serving)  # its deployment, if there was one, is too old to be listed


def _reaches_back(recent: RecentDeployments, build: Build) -> bool:
    """Whether the list goes back to the build: if the build had been deployed, it would show that."""
    if len(recent.deployments) < _MAX_LISTED:
        return True
    oldest, begin = usable_date(recent.deployments[-1].created_on), usable_date(build.created_on)
    return oldest is not None and begin is not None and oldest <= begin


_WHY = {
    NotDeployedReason.SUPERSEDED: "a newer deployment has replaced it",
    NotDeployedReason.ROLLED_BACK: "a rollback has replaced it",
    NotDeployedReason.SPLIT: "other versions share the traffic",
    NotDeployedReason.UPLOADED_ONLY: "it uploaded a version without deploying it",
    NotDeployedReason.NOTHING_UPLOADED: "it uploaded nothing: check its deploy command",
    NotDeployedReason.UNSUCCESSFUL: "it was not successful",
}

_WHY_NO_BUILD = {
    NoBuildReason.BY_HAND: "deployed by hand",
    NoBuildReason.ROLLBACK: "rolled back, not from a build",
    NoBuildReason.SECRET: "made by a changed secret",
    NoBuildReason.EXPIRED: "older than 90 days",
    NoBuildReason.REFUSED: "whose build the token may not read",
}


def _error(build: Build, reason: NotDeployedReason, serving: LiveWorker | None) -> NotDeployedError:
    outcome = f" ({plain(build.build_outcome or 'without an outcome')})"
    why = _WHY[reason] + (outcome if reason == NotDeployedReason.UNSUCCESSFUL else "")
    message = f"build {plain(build.build_uuid)} is not live: {why}; {_now(serving)}"
    return NotDeployedError(message, build=build, reason=reason, serving=serving)


def _now(serving: LiveWorker | None) -> str:
    """The versions that serve, and since when."""
    if serving is None:
        return "the Worker was never deployed"
    versions = " and ".join(map(_version, serving.versions)) or "nothing"
    since = usable_date(serving.deployment.created_on)
    return f"{versions} serves" + (f" since {_date(since)}" if since else "")


def _version(version: LiveVersion) -> str:
    share = "" if version.percentage is None else f" with {version.percentage:g}%"
    return f"version {plain(version.version_id)}{share} ({_origin(version)})"


def _origin(version: LiveVersion) -> str:
    build = version.build
    if build is None:
        return _WHY_NO_BUILD.get(version.reason or NoBuildReason.BY_HAND, "deployed by hand")
    commit = f" of commit {plain(build.commit_hash)[:12]}" if build.commit_hash else ""
    return f"build {plain(build.build_uuid)}{commit}"


def _date(date: datetime) -> str:
    return f"{date.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
