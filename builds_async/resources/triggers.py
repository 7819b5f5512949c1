"""Triggers: the rules that start the builds of Workers."""

import logging
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import UNSET, UnsetType

from builds_async.models.base import texts
from builds_async.models.builds import Build, EnvironmentVariable, Trigger
from builds_async.models.envelope import Envelope
from builds_async.models.seeds import SeedRepo
from builds_async.models.variables import NewVariable, checked_name, new_variables, secret_values
from builds_async.resources.trigger_starts import TriggerStarts
from builds_async.session.decode import DONE, receipts
from builds_async.session.encode import body, encoded
from builds_async.session.ids import identifier, segment, tag
from builds_async.session.redact import hidden, quoted
from builds_async.session.session import ApiSession

_TRIGGER = msgspec.json.Decoder(Envelope[Trigger])
_VARIABLES = msgspec.json.Decoder(Envelope[dict[str, EnvironmentVariable | None]])
_CHANGED = receipts(Trigger)
_SET = receipts(dict[str, EnvironmentVariable | None])

logger: logging.Logger = logging.getLogger("builds_async")


class Triggers:
    """The triggers of Workers, their variables, and manual builds.

    https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/

    Reading needs the permission "Workers CI Read", everything else "Workers CI Write"; the dashboard calls
    them "Workers Builds Configuration", Read and Edit. These methods take the tag of a Worker, not its name.
    A keyword argument that is UNSET is not sent, so the value is kept.

    Every method raises a `BuildsError` if the call fails, and a ValueError, before anything is sent, for an
    argument that the API can't accept. A call that changes something is repeated only if it can't have taken
    effect.
    """

    def __init__(self, session: ApiSession, starts: TriggerStarts) -> None:
        self._session = session
        self._starts = starts

    async def list(self, external_script_id: str) -> tuple[Trigger, ...]:
        """The triggers of a Worker: at most one for production and one for previews. The list has no pages.

        Builds of pull requests may run under a trigger that is not in this list.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/methods/list/
        """
        return await self._starts.triggers_of(external_script_id)

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
        """Create a trigger. From then on, a push to a branch in `branch_includes` builds the Worker.

        - `repo_connection_uuid` comes from `client.repos.upsert_connection`, `build_token_uuid` from
          `client.tokens`.
        - Branches are full names, or `*` for all branches. A partial wildcard such as `preview/*` is sent,
          and a warning is logged: the API was seen to refuse it with a BadRequestError (code 12002).
        - Paths are patterns in which `*` stands for any text. By default all paths count.
        - By default the commands run in the root of the repository, and the API decides on build caching,
          which it turns off.

        A Worker has at most two triggers; the API refuses a third one (code 12030).

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
            branch_includes=_branches("branch_includes", branch_includes),
            branch_excludes=_branches("branch_excludes", branch_excludes),
            path_includes=texts(path_includes),
            path_excludes=texts(path_excludes),
            build_caching_enabled=build_caching_enabled,
        )
        return self._starts.remember(await self._session.post("/builds/triggers", _TRIGGER, data))

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
        """Change a trigger. Fields left UNSET keep their values. None is sent as null.

        The rules for branches are those of `create`. BadRequestError for `["*"]` in `branch_excludes`,
        NotFoundError if there is no such trigger. If the API returns no trigger, the result has only its id.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/methods/update/
        """
        data = body(
            trigger_name=trigger_name,
            build_command=build_command,
            deploy_command=deploy_command,
            root_directory=root_directory,
            branch_includes=_branches("branch_includes", branch_includes),
            branch_excludes=_branches("branch_excludes", branch_excludes),
            path_includes=texts(path_includes),
            path_excludes=texts(path_excludes),
            build_caching_enabled=build_caching_enabled,
            build_token_uuid=build_token_uuid,
        )
        trigger = await self._session.patch(_path(trigger_uuid), _CHANGED, data)
        return self._starts.remember(trigger or Trigger(trigger_uuid=trigger_uuid))

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
        """Start a build of a `branch`, a `commit_hash` or both, and return it as it was queued.

        `client.builds.start` finds the trigger by itself.

        `commit_hash` is the full hash. A short one is a ValueError here, because the build would fail when it
        clones the repository. Store the `build_uuid`: without a commit, the build can't be found in any other
        way. `seed_repo` is a repository that seeds the build.

        The API has no idempotency key. So the request is never repeated if it may have arrived, and starts of
        one trigger go one after another. If the response is lost (a broken connection, a timeout, a 5xx, a
        garbled body), the build is looked up for a few seconds: the Worker's latest build with this trigger,
        branch and commit that was created since, and not by a push or a hook. If there is none, the error is
        raised and says so. The build may still have started, so check before you start it again.

        The lookup needs the Worker of the trigger. If this client has not listed, created or changed the
        trigger, it searches all Workers of the account, which also needs "Workers Scripts Read".

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/methods/create_build/
        """
        return await self._starts.start(
            trigger_uuid, branch=branch, commit_hash=commit_hash, seed_repo=seed_repo
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
        """Add or replace these variables, and keep all others. Returns the variables in the response.

        The value of a plain str stays visible. `NewVariable(value=..., is_secret=True)` is hidden from then
        on, and redacted in errors. ValueError for a value of more than 5,000 characters, and for a name that
        begins with a digit or has other characters than letters, digits and underscores. A trigger has at
        most 64 variables.

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


def _without_nulls(
    variables: Mapping[str, EnvironmentVariable | None] | None,
) -> dict[str, EnvironmentVariable]:
    return {name: it for name, it in (variables or {}).items() if it is not None}


def _branches(name: str, branches: Iterable[str] | UnsetType) -> tuple[str, ...] | UnsetType:
    """Branches as they are sent. A partial wildcard is only logged, since the API may accept it one day."""
    sent = texts(branches)
    for branch in () if isinstance(sent, UnsetType) else sent:
        if "*" in branch and branch != "*":
            logger.warning(
                "%s has %s: the API was seen to refuse partial wildcards (400, code 12002); use whole names,"
                " or * for all branches",
                name,
                quoted(branch),
            )
    return sent


def _path(trigger_uuid: str) -> str:
    return f"/builds/triggers/{identifier(trigger_uuid)}"


def _variables(trigger_uuid: str) -> str:
    return f"{_path(trigger_uuid)}/environment_variables"
