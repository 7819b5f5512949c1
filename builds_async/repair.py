"""Repairs dead build tokens: finds the triggers that have one, plans the calls, and makes them."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from builds_async.errors import BuildsError, NotFoundError
from builds_async.models.brief import brief
from builds_async.models.builds import Build, BuildOutcome, Trigger, created
from builds_async.models.reason import names_dead_token
from builds_async.models.repair import (
    BrokenTrigger,
    NewBuildToken,
    RepairAction,
    RepairCall,
    TokenRepairPlan,
)
from builds_async.models.tokens import BuildToken
from builds_async.resources.builds import Builds
from builds_async.resources.starting import checked_commit
from builds_async.resources.tokens import Tokens
from builds_async.resources.triggers import Triggers
from builds_async.resources.workers import Workers
from builds_async.session.ids import checked_tags, identifier, normalized_id
from builds_async.session.redact import quoted

_QUICK = 120.0
"""Seconds. A build with a dead token fails sooner; a longer build has run its commands."""

_UNREGISTERED = "(the UUID of the new build token)"
_REGISTER_ONE = "create an API token and pass it, to be registered as a new build token"


class TokenRepairReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a repair. A second repair continues with the calls that are left."""

    done: tuple[RepairCall, ...]
    """The calls that succeeded."""
    left: tuple[RepairCall, ...] = ()
    """The call that failed, and those after it, which were not made."""
    error: BuildsError | None = None
    """Why the first call of `left` failed; None if all calls succeeded."""

    def __repr__(self) -> str:
        return brief(self)


class _Worker(msgspec.Struct, frozen=True):
    """The triggers and builds of one Worker."""

    tag: str
    triggers: tuple[Trigger, ...]
    builds: tuple[Build, ...]
    """Newest first."""


class TokenRepair:
    """Repairs dead build tokens: `plan()` only reads, `apply()` makes the calls of a plan.

    A build token dies when the API token behind it is rolled, deleted or expired. The API still lists it, but
    each build with it fails within seconds. Only the log of such a build shows that its token is dead.
    """

    def __init__(
        self,
        *,
        builds: Builds,
        triggers: Triggers,
        tokens: Tokens,
        workers: Workers,
        account_path: str,
        external_script_ids: Iterable[str] | None,
        build_token_uuid: str | None,
        new_token: NewBuildToken | None,
    ) -> None:
        if build_token_uuid is not None and new_token is not None:
            raise ValueError("pass the UUID of a build token or a new token, not both")
        self._builds, self._triggers = builds, triggers
        self._tokens, self._workers = tokens, workers
        self._account_path = account_path
        self._tags = None if external_script_ids is None else checked_tags(external_script_ids)
        self._wanted = None if build_token_uuid is None else identifier(build_token_uuid)
        self._new = new_token

    async def plan(self) -> TokenRepairPlan:
        """Find the broken triggers, and the calls that would repair them. Changes nothing.

        Triggers with a dead or deleted build token get another one: the new one that was passed, else the one
        whose UUID was passed, else the one of the latest successful build, else the only one that is left. If
        there is none, or if several are possible, `problem` says so and there are no calls. The last build of
        each such trigger is started again with its branch and commit, unless the API gives neither a branch
        nor a full commit hash. Builds of Previews are ignored.

        For given Workers this takes two requests each. For the whole account it takes one to list the
        Workers, one for 20 of them, and two for each Worker that may be affected: its latest build failed
        within two minutes, or used a token that is dead or deleted. In both cases the build tokens are listed
        too, and one log is read for each token that may be dead.

        Raises the `BuildsError` of the first request that fails, because a plan from partial data may be
        wrong. Needs "Workers CI Read", and for the whole account "Workers Scripts Read" too.
        """
        tokens = {normalized_id(it.build_token_uuid): it async for it in self._tokens.iter(per_page=200)}
        workers, latest = await self._suspects(tokens)
        seen = [build for worker in workers for build in worker.builds] + list(latest)
        alive, dead = await self._judged(seen, workers)
        broken = tuple(
            _broken(worker.tag, trigger, tokens)
            for worker in workers
            for trigger in worker.triggers
            if _token_of(trigger) in dead or (_token_of(trigger) and _token_of(trigger) not in tokens)
        )
        restarts = tuple(_restarts(workers, dead, {it.trigger_uuid for it in broken}))
        if not broken and not restarts:
            return TokenRepairPlan()
        if not broken:
            return TokenRepairPlan(calls=tuple(self._restart_call(tag, build) for tag, build in restarts))
        usable = {uuid: token for uuid, token in tokens.items() if uuid not in dead}
        replacement, problem = self._replacement(usable, alive)
        if problem:
            return TokenRepairPlan(broken=broken, problem=problem)
        uuid = _UNREGISTERED if replacement is None else replacement.build_token_uuid
        return TokenRepairPlan(
            broken=broken,
            replacement=replacement,
            is_proven=normalized_id(uuid) in alive,
            calls=(
                *(() if replacement is not None else (self._registration_call(),)),
                *(self._pointing_call(it, uuid) for it in broken),
                *(self._restart_call(tag, build) for tag, build in restarts),
            ),
        )

    async def apply(self, plan: TokenRepairPlan) -> TokenRepairReport:
        """Make the calls of a plan in order, until one fails. Its error is in the report, and not raised.

        A second `plan` and `apply` continue with the calls that are left, and repeat none. RuntimeError for a
        plan with a `problem`, and for a plan that registers a token that this repair does not have.

        Needs "Workers CI Write".
        """
        if plan.problem:
            raise RuntimeError(f"the plan can't be applied: {plan.problem}")
        if self._new is None and any(call.action == RepairAction.REGISTER for call in plan.calls):
            raise RuntimeError("the plan registers a new token: apply it with the repair that made it")
        registered = ""
        for number, call in enumerate(plan.calls):
            try:
                registered = await self._make(call, registered) or registered
            except BuildsError as error:
                return TokenRepairReport(done=plan.calls[:number], left=plan.calls[number:], error=error)
        return TokenRepairReport(done=plan.calls)

    async def _make(self, call: RepairCall, registered: str) -> str | None:
        """Make one call. Returns the UUID of the new build token if it registers one."""
        if call.action == RepairAction.REGISTER and self._new is not None:
            token = await self._tokens.create(
                build_token_name=self._new.build_token_name,
                build_token_secret=self._new.build_token_secret,
                cloudflare_token_id=self._new.cloudflare_token_id,
            )
            return token.build_token_uuid
        trigger_uuid = call.path.split("/builds/triggers/")[1].partition("/")[0]
        if call.action == RepairAction.POINT:
            uuid = call.body["build_token_uuid"]
            await self._triggers.update(
                trigger_uuid, build_token_uuid=registered if uuid == _UNREGISTERED else uuid
            )
        else:
            await self._triggers.start_build(
                trigger_uuid, branch=call.body.get("branch"), commit_hash=call.body.get("commit_hash")
            )
        return None

    async def _suspects(self, tokens: Mapping[str, BuildToken]) -> tuple[list[_Worker], list[Build]]:
        """The Workers whose triggers may be broken, and the latest builds of all others."""
        if self._tags is not None:
            return [await self._worker(tag) for tag in dict.fromkeys(map(normalized_id, self._tags))], []
        tags = [script.tag for script in await self._workers.list() if script.tag]
        result = await self._builds.latest(tags)
        result.raise_for_failures()
        latest = {tag: build for tag, build in result.found.items() if build is not None}
        suspects = {tag for tag, build in latest.items() if _is_suspicious(build, tokens)}
        # If such a token is dead, it breaks other Workers too, although their latest builds may be older.
        used = {_token_of_build(latest[tag]) for tag in suspects} - {None}
        suspects |= {tag for tag, build in latest.items() if _token_of_build(build) in used}
        workers = [await self._worker(tag) for tag in latest if tag in suspects]
        return workers, [build for tag, build in latest.items() if tag not in suspects]

    async def _worker(self, tag: str) -> _Worker:
        triggers = await self._triggers.list(tag)
        builds = tuple(await self._builds.list(tag))
        live = tuple(it for it in triggers if it.trigger_uuid and it.deleted_on is None)
        return _Worker(tag, live, tuple(sorted(builds, key=created, reverse=True)))

    async def _judged(
        self, builds: Iterable[Build], workers: Iterable[_Worker]
    ) -> tuple[dict[str, datetime], set[str]]:
        """The tokens that work, each with the date of its last success, and the tokens that are dead.

        The last finished build with a token decides, because a dead token never works again.
        """
        current = {
            it.trigger_uuid: token
            for worker in workers
            for it in worker.triggers
            if (token := _token_of(it)) is not None
        }
        last: dict[str, Build] = {}
        alive: dict[str, datetime] = {}
        for build in sorted(builds, key=created):
            trigger = build.trigger and build.trigger.trigger_uuid
            token = _token_of_build(build) or (current.get(trigger) if trigger else None)
            if token and build.build_outcome in {BuildOutcome.SUCCESS, BuildOutcome.FAIL}:
                last[token] = build
                if build.succeeded:
                    alive[token] = created(build)
        dead = {token for token, build in last.items() if await self._died(build)}
        return {token: date for token, date in alive.items() if token not in dead}, dead

    async def _died(self, build: Build) -> bool:
        """Whether a build failed because its token is dead."""
        if not _failed_fast(build):
            return False
        try:
            page = await self._builds.logs(build.build_uuid)
        except NotFoundError:  # no longer kept
            return False
        return names_dead_token(line.message for line in page.lines)

    def _replacement(
        self, usable: Mapping[str, BuildToken], alive: Mapping[str, datetime]
    ) -> tuple[BuildToken | None, str]:
        """The build token for the broken triggers, or None for the new one; and the problem, if any."""
        if self._new is not None:
            same = (it for it in usable.values() if it.cloudflare_token_id == self._new.cloudflare_token_id)
            return next(same, None), ""  # an earlier repair that was interrupted may have registered it
        if self._wanted:
            found = usable.get(self._wanted)
            shown = quoted(self._wanted)
            why = f"{shown} is not a build token that works: pass another one, or {_REGISTER_ONE}"
            return found, "" if found else why
        proven = max((uuid for uuid in usable if uuid in alive), key=lambda uuid: alive[uuid], default=None)
        if proven is not None:
            return usable[proven], ""
        if len(usable) == 1:
            return next(iter(usable.values())), ""
        if not usable:
            return None, f"no build token is left that may work: {_REGISTER_ONE}"
        names = ", ".join(f"{it.build_token_uuid} ({it.build_token_name})" for it in usable.values())
        return None, f"several build tokens may work, none of them proven: pass the UUID of one of {names}"

    def _registration_call(self) -> RepairCall:
        new = self._new or NewBuildToken(build_token_secret="", cloudflare_token_id="")
        return RepairCall(
            action=RepairAction.REGISTER,
            method="POST",
            path=f"{self._account_path}/builds/tokens",
            body={
                "build_token_name": new.build_token_name,
                "build_token_secret": "***",
                "cloudflare_token_id": new.cloudflare_token_id,
            },
        )

    def _pointing_call(self, broken: BrokenTrigger, uuid: str) -> RepairCall:
        return RepairCall(
            action=RepairAction.POINT,
            method="PATCH",
            path=f"{self._account_path}/builds/triggers/{broken.trigger_uuid}",
            body={"build_token_uuid": uuid},
            external_script_id=broken.external_script_id,
        )

    def _restart_call(self, tag: str, build: Build) -> RepairCall:
        trigger_uuid = build.trigger and build.trigger.trigger_uuid
        return RepairCall(
            action=RepairAction.START,
            method="POST",
            path=f"{self._account_path}/builds/triggers/{trigger_uuid}/builds",
            body=_start_body(build),
            external_script_id=tag,
        )


def _token_of(trigger: Trigger) -> str | None:
    return normalized_id(trigger.build_token_uuid) if trigger.build_token_uuid else None


def _token_of_build(build: Build) -> str | None:
    uuid = build.build_trigger_metadata and build.build_trigger_metadata.build_token_uuid
    return normalized_id(uuid) if uuid else None


def _start_body(build: Build) -> dict[str, str]:
    """What to build again: the branch, and the commit if its hash is complete. Empty if there is neither."""
    try:
        commit = checked_commit(build.commit_hash)
    except ValueError:
        commit = None
    return {name: it for name, it in (("branch", build.branch), ("commit_hash", commit)) if it}


def _failed_fast(build: Build) -> bool:
    if not build.is_finished or build.build_outcome != BuildOutcome.FAIL:
        return False
    return build.duration is None or build.duration <= _QUICK


def _is_suspicious(build: Build, tokens: Mapping[str, BuildToken]) -> bool:
    token = _token_of_build(build)
    return _failed_fast(build) or (token is not None and token not in tokens)


def _broken(tag: str, trigger: Trigger, tokens: Mapping[str, BuildToken]) -> BrokenTrigger:
    uuid = _token_of(trigger) or ""
    return BrokenTrigger(
        external_script_id=tag,
        trigger_uuid=trigger.trigger_uuid or "",
        trigger_name=trigger.trigger_name,
        build_token_uuid=uuid,
        build_token_name=trigger.build_token_name,
        is_registered=uuid in tokens,
    )


def _restarts(workers: Iterable[_Worker], dead: set[str], broken: set[str]) -> Iterable[tuple[str, Build]]:
    """The last build of each trigger, if it failed with a dead token and can be started again."""
    for worker in workers:
        listed = {it.trigger_uuid for it in worker.triggers}
        for build in worker.builds:
            uuid = build.trigger and build.trigger.trigger_uuid
            if uuid not in listed:
                continue
            listed.discard(uuid)  # only the newest build of each trigger counts
            token = _token_of_build(build)
            died = token in dead if token else uuid in broken
            if died and _failed_fast(build) and _start_body(build):
                yield worker.tag, build
