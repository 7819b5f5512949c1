"""Triggers: the rules that start the builds of Workers."""

from collections.abc import Iterable, Mapping
from functools import partial

import msgspec
from msgspec import UNSET, UnsetType

from builds_async.errors import BuildsError, ResponseDecodeError
from builds_async.models.base import texts
from builds_async.models.builds import Build, EnvironmentVariable, Trigger
from builds_async.models.envelope import Envelope
from builds_async.models.seeds import SeedRepo
from builds_async.models.variables import NewVariable, checked_name, new_variables, secret_values
from builds_async.resources.builds import DatedBuilds
from builds_async.resources.starting import BuildStarter, LookupResult
from builds_async.resources.workers import Workers
from builds_async.session.decode import DONE, receipts
from builds_async.session.encode import body, encoded
from builds_async.session.ids import identifier, is_tag, normalized_id, segment, tag
from builds_async.session.redact import hidden
from builds_async.session.session import ApiSession

_TRIGGER = msgspec.json.Decoder(Envelope[Trigger])
_TRIGGERS = msgspec.json.Decoder(Envelope[tuple[Trigger, ...]])
_VARIABLES = msgspec.json.Decoder(Envelope[dict[str, EnvironmentVariable | None]])
_CHANGED = receipts(Trigger)
_SET = receipts(dict[str, EnvironmentVariable | None])
_REMEMBERED = 10_000  # triggers


class Triggers:
    """The triggers of Workers, their variables, and builds started by hand.

    https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/

    Reading needs the permission "Workers CI Read", everything else "Workers CI Write"; the dashboard calls
    them "Workers Builds Configuration", Read and Edit. A Worker goes by its tag. A keyword argument that is
    UNSET is not sent, and its value stays as it is.

    Every method raises a `BuildsError` if the call fails, and a ValueError, before anything is sent, for an
    argument that the API can't accept. A call that changes something is repeated only if it can't have taken
    effect.
    """

    def __init__(self, session: ApiSession, builds: DatedBuilds, workers: Workers) -> None:
        self._session = session
        self._builds = builds
        self._workers = workers
        self._starter = BuildStarter(session)
        self._tags: dict[str, str] = {}  # of Workers, by the UUIDs of triggers that were in a response

    async def list(self, external_script_id: str) -> tuple[Trigger, ...]:
        """The triggers of a Worker: at most one for production and one for previews. The list has no pages.

        Builds of pull requests may run under a trigger that is not in this list.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/methods/list/
        """
        path = f"/builds/workers/{tag(external_script_id)}/triggers"
        triggers = await self._session.get(path, _TRIGGERS, nullable=True) or ()
        return tuple(self._remember(trigger) for trigger in triggers)

    async def create(
        self,
        *,
        external_script_id: str,
        repo_connection_uuid: str,
        build_token_uuid: str,
        trigger_name: str,
        build_command: str,
        deploy_command: str,
        branch_includes: Iterable[str],
        branch_excludes: Iterable[str] = (),
        path_includes: Iterable[str] = ("*",),
        path_excludes: Iterable[str] = (),
        root_directory: str = "/",
        build_caching_enabled: bool | UnsetType = UNSET,
    ) -> Trigger:
        """Create a trigger: from then on, a push to a branch in `branch_includes` builds the Worker.

        `repo_connection_uuid` comes from `client.repos.upsert_connection`, `build_token_uuid` from
        `client.tokens`. Branches are full names, or `*` for all of them: partial wildcards such as
        `preview/*` have been seen to be a BadRequestError (code 12002). Paths are patterns, where `*` stands
        for any text. By default every path counts, the commands run in the root of the repository, and build
        caching is left to the API's default, which is off.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/methods/create/
        """
        data = body(
            external_script_id=tag(external_script_id),
            repo_connection_uuid=repo_connection_uuid,
            build_token_uuid=build_token_uuid,
            trigger_name=trigger_name,
            build_command=build_command,
            deploy_command=deploy_command,
            root_directory=root_directory,
            branch_includes=texts(branch_includes),
            branch_excludes=texts(branch_excludes),
            path_includes=texts(path_includes),
            path_excludes=texts(path_excludes),
            build_caching_enabled=build_caching_enabled,
        )
        return self._remember(await self._session.post("/builds/triggers", _TRIGGER, data))

    async def update(
        self,
        trigger_uuid: str,
        *,
        trigger_name: str | UnsetType = UNSET,
        build_command: str | UnsetType | None = UNSET,
        deploy_command: str | UnsetType | None = UNSET,
        root_directory: str | UnsetType | None = UNSET,
        branch_includes: Iterable[str] | UnsetType = UNSET,
        branch_excludes: Iterable[str] | UnsetType = UNSET,
        path_includes: Iterable[str] | UnsetType = UNSET,
        path_excludes: Iterable[str] | UnsetType = UNSET,
        build_caching_enabled: bool | UnsetType = UNSET,
        build_token_uuid: str | UnsetType = UNSET,
    ) -> Trigger:
        """Change a trigger. Fields left UNSET keep their values; None is sent as null.

        The branch rules are those of `create`; `["*"]` in `branch_excludes` is a BadRequestError.
        NotFoundError if there is no such trigger. If the API gives no trigger back, the result has only its
        id.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/methods/update/
        """
        data = body(
            trigger_name=trigger_name,
            build_command=build_command,
            deploy_command=deploy_command,
            root_directory=root_directory,
            branch_includes=texts(branch_includes),
            branch_excludes=texts(branch_excludes),
            path_includes=texts(path_includes),
            path_excludes=texts(path_excludes),
            build_caching_enabled=build_caching_enabled,
            build_token_uuid=build_token_uuid,
        )
        trigger = await self._session.patch(_path(trigger_uuid), _CHANGED, data)
        return self._remember(trigger or Trigger(trigger_uuid=trigger_uuid))

    async def delete(self, trigger_uuid: str) -> None:
        """Delete a trigger and cancel its unfinished builds. NotFoundError if there is no such trigger.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/methods/delete/
        """
        await self._session.delete(_path(trigger_uuid), DONE)

    async def start_build(
        self,
        trigger_uuid: str,
        *,
        branch: str | None = None,
        commit_hash: str | None = None,
        seed_repo: SeedRepo | None = None,
    ) -> Build:
        """Start a build of a `branch`, of a `commit_hash`, or of both, and get it as it was queued.

        `commit_hash` is the full hash: a short one is a ValueError here, because the build would fail when it
        clones the repository. Keep the `build_uuid`: nothing else finds a build that was started without a
        commit. `seed_repo` is a repository to seed the build with.

        The API has no idempotency key, so the request is never sent twice if it may have arrived, and starts
        of one trigger go one after another. If the response is lost (a broken connection, a timeout, a 5xx, a
        garbled body), the build is looked up for a few seconds: the latest of the Worker, with this trigger,
        branch and commit, created since, and not started by a push or a hook. If there is none, the error is
        raised and says so. The build may have started, or may still start: look before you start it again.

        For a trigger that this client has not listed, created or changed, the lookup has to find its Worker
        among all of the account, which needs "Workers Scripts Read" too.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/methods/create_build/
        """
        trigger_uuid = identifier(trigger_uuid)
        path = f"{_path(trigger_uuid)}/builds"
        lookups = (partial(self._latest, trigger_uuid), partial(self._listed, trigger_uuid))
        return await self._starter.start(
            path, lookups, branch=branch, commit_hash=commit_hash, seed_repo=seed_repo
        )

    async def purge_cache(self, trigger_uuid: str) -> None:
        """Delete the cached dependencies and build output of a trigger. The next build starts without them.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/methods/purge_cache/
        """
        await self._session.post(f"{_path(trigger_uuid)}/purge_build_cache", DONE)

    async def variables(self, trigger_uuid: str) -> dict[str, EnvironmentVariable]:
        """The variables that builds of a trigger see, by name. The value of a secret is None.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/subresources/environment_variables/methods/list/
        """
        variables = await self._session.get(_variables(trigger_uuid), _VARIABLES, nullable=True)
        return _without_nulls(variables)

    async def set_variables(
        self, trigger_uuid: str, variables: Mapping[str, str | NewVariable]
    ) -> dict[str, EnvironmentVariable]:
        """Add or replace these variables; all others stay. The variables afterwards, as far as the API says.

        A plain str is a value that stays visible. `NewVariable(value=..., is_secret=True)` is hidden from
        then on, and redacted in errors. ValueError for a value of more than 5,000 characters, and for a name
        that has anything but letters, digits and underscores or begins with a digit. A trigger has at most
        64 variables.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/subresources/environment_variables/methods/upsert/
        """
        checked = new_variables(variables)
        path, secrets = _variables(trigger_uuid), hidden(secret_values(checked))
        stored = await self._session.patch(path, _SET, encoded(checked), secrets=secrets)
        return _without_nulls(stored)

    async def delete_variable(self, trigger_uuid: str, name: str) -> None:
        """Delete one variable. NotFoundError if there is no variable of that name.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/subresources/environment_variables/methods/delete/
        """
        await self._session.delete(f"{_variables(trigger_uuid)}/{segment(checked_name(name))}", DONE)

    def _remember(self, trigger: Trigger) -> Trigger:
        """Remember the Worker of a trigger, for which the API has no call, and return the trigger."""
        if trigger.trigger_uuid and is_tag(trigger.external_script_id or ""):
            if len(self._tags) >= _REMEMBERED:
                self._tags.clear()
            self._tags[normalized_id(trigger.trigger_uuid)] = trigger.external_script_id or ""
        return trigger

    async def _latest(self, trigger_uuid: str) -> LookupResult:
        """The latest build of the trigger's Worker, if this trigger started it."""
        known = self._tags.get(trigger_uuid)
        # An unknown trigger may be that of any Worker. A request covers 20, and what is found is remembered.
        tags = [known] if known else [it.tag for it in await self._workers.list() if is_tag(it.tag or "")]
        result, date = await self._builds.latest_dated(filter(None, tags))
        found = [build for build in result.found.values() if _is_started_by(build, trigger_uuid)]
        if not found and not all(map(_is_unreadable, result.failed.values())):
            result.raise_for_failures()
        for build in found:
            if build.trigger is not None:
                self._remember(build.trigger)
        return LookupResult(found, date)

    async def _listed(self, trigger_uuid: str) -> LookupResult:
        """The last builds of this trigger, for the case that another trigger has started one since."""
        known = self._tags.get(trigger_uuid)
        if known is None:
            return LookupResult((), None)
        page, date = await self._builds.list_dated(known)
        return LookupResult([build for build in page if _is_started_by(build, trigger_uuid)], date)


def _without_nulls(
    variables: Mapping[str, EnvironmentVariable | None] | None,
) -> dict[str, EnvironmentVariable]:
    return {name: it for name, it in (variables or {}).items() if it is not None}


def _is_unreadable(error: BuildsError) -> bool:
    """Whether a build can't be read now or later. As a rule it is one of another Worker."""
    return isinstance(error, ResponseDecodeError) and not error.transient


def _is_started_by(build: Build, trigger_uuid: str) -> bool:
    other = build.trigger.trigger_uuid if build.trigger else None
    return other is not None and normalized_id(other) == trigger_uuid


def _path(trigger_uuid: str) -> str:
    return f"/builds/triggers/{identifier(trigger_uuid)}"


def _variables(trigger_uuid: str) -> str:
    return f"{_path(trigger_uuid)}/environment_variables"
