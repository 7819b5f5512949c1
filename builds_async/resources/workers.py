"""Workers: their names and tags, and their build configuration."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from builds_async.errors import NotFoundError
from builds_async.models.deployments import WorkerSubdomain
from builds_async.models.envelope import Envelope, Page
from builds_async.models.workers import (
    BuildSettingsUpdate,
    FoundWorker,
    NewBuildSettings,
    NewGitRepository,
    WorkerConfig,
    WorkerScript,
    checked_branch,
    settings_secrets,
)
from builds_async.resources.paging import Pages, check_page, get_page
from builds_async.session.decode import DONE, receipts
from builds_async.session.encode import body, query
from builds_async.session.ids import is_tag, normalized_id, segment, tag
from builds_async.session.redact import hidden, quoted
from builds_async.session.session import ApiSession

_SCRIPTS = msgspec.json.Decoder(Envelope[tuple[WorkerScript, ...]])
_FOUND = msgspec.json.Decoder(Envelope[tuple[FoundWorker, ...]])
_CONFIG = msgspec.json.Decoder(Envelope[WorkerConfig])
_SUBDOMAIN = msgspec.json.Decoder(Envelope[WorkerSubdomain])
_CHANGED = receipts(WorkerConfig)
_MAX_SUGGESTIONS = 3


class Workers:
    """The Workers of an account: their names and tags, and their build configuration.

    https://developers.cloudflare.com/api/resources/workers/subresources/scripts/ and
    https://developers.cloudflare.com/api/resources/workers_builds/

    `list`, `search`, `tags`, `names` and `subdomain` need the permission "Workers Scripts Read", `get` needs
    "Workers CI Read", and all methods that change something need "Workers CI Write" (in the dashboard
    "Workers Builds Configuration", Read and Edit). Most methods take the tag of a Worker (`script_tag`, 32
    hex digits), which stays when the Worker is renamed. `tags` looks up the tags of names.

    Every method raises a `BuildsError` if the call fails, and a ValueError, before anything is sent, for an
    argument that the API can't accept. A call that changes something is repeated only if it can't have taken
    effect.
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session
        self._tags: dict[str, str] = {}  # by name
        self._listing = asyncio.Lock()
        # Fetches of the list are numbered: the last one that has begun, and the one that filled `_tags`.
        self._begun = self._listed = 0

    async def list(self, *, tags: Mapping[str, bool] | None = None) -> tuple[WorkerScript, ...]:
        """All Workers that were ever deployed: `id` is the name, `tag` the tag. The list has no pages.

        `tags` filters by the labels of Workers, not by the tags that identify them. `{"production": True}`
        returns the Workers with that label, and False those without it.

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/scripts/methods/list/
        """
        if isinstance(tags, str):
            raise TypeError("tags must be a mapping of labels to True or False")
        labels = tags and ",".join(f"{label}:{'yes' if has else 'no'}" for label, has in tags.items())
        parameters = query(tags=labels or None)
        return await self._session.get("/workers/scripts", _SCRIPTS, parameters, nullable=True) or ()

    async def search(
        self,
        *,
        name: str | None = None,
        id: str | None = None,  # noqa: A002  # the API's word
        order_by: Literal["name", "created_on", "modified_on"] = "name",
        page: int = 1,
        per_page: int = 10,
    ) -> Page[FoundWorker]:
        """One page of the Workers whose name contains `name`, or whose tag is `id`, in ascending order.

        `page` counts from 1 (1), `per_page` is 1 to 100 (10).

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/scripts/methods/search/
        """
        check_page(page, per_page, 100)
        parameters = query(
            name=name, id=None if id is None else tag(id), order_by=order_by, page=page, per_page=per_page
        )
        return await get_page(self._session, "/workers/scripts-search", _FOUND, parameters)

    def iter_search(self, *, name: str | None = None, per_page: int = 100) -> Pages[FoundWorker]:
        """All Workers whose name contains `name`, each once. Pages are fetched as the loop reaches them.

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/scripts/methods/search/
        """
        return Pages(
            partial(self.search, name=name, per_page=per_page),
            key=lambda worker: worker.id,
            per_page=per_page,
        )

    async def tags(self, names_or_tags: Iterable[str], *, refresh: bool = False) -> dict[str, str]:
        """The tags of these Workers, by the name or tag that was passed, in the order of the request.

        Names are looked up in the account's list of Workers. The client fetches the list once and keeps it,
        and fetches it again for a name that is not in it. Concurrent calls share the request. A Worker that
        was deleted and created again has another tag: `refresh=True` always fetches the list. An argument of
        32 hex digits is a tag already and not looked up. With tags alone, nothing is sent.

        NotFoundError for a name that is not in the account. The message suggests similar names.

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/scripts/methods/list/
        """
        if isinstance(names_or_tags, str):
            raise TypeError("pass a list of names, not one str")
        wanted = dict.fromkeys(names_or_tags)
        names = [name for name in wanted if not is_tag(name)]
        known = await self._tags_of(names, refresh=refresh) if names else {}
        return {it: tag(it) if is_tag(it) else known[it] for it in wanted}

    async def names(self) -> dict[str, str]:
        """The names of all Workers of the account, by tag, in the order of the list: the reverse of `tags`.

        Each call sends one request and keeps nothing, because a Worker can be renamed.

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/scripts/methods/list/
        """
        return {normalized_id(script.tag): script.id for script in await self.list() if script.tag}

    async def get(self, script_tag: str) -> WorkerConfig:
        """The build configuration of a Worker. NotFoundError if the Worker has none.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/
        """
        return await self._session.get(_path(script_tag), _CONFIG)

    async def create(
        self,
        *,
        script_tag: str,
        git_repository: NewGitRepository,
        production_settings: NewBuildSettings,
        previews_enabled: bool,
        previews_base_config: NewBuildSettings,
    ) -> WorkerConfig:
        """Connect a Worker to a repository.

        The API requires `previews_base_config` even if `previews_enabled` is False. ConflictError if the
        Worker is connected already: `update` it instead. Secret variables are redacted in errors. If the API
        returns no configuration, the result has only the tag.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/
        """
        script_tag = tag(script_tag)
        data = body(
            script_tag=script_tag,
            git_repository=git_repository,
            production_settings=production_settings,
            previews_enabled=previews_enabled,
            previews_base_config=previews_base_config,
        )
        secrets = hidden(settings_secrets(production_settings, previews_base_config))
        config = await self._session.post("/builds/workers", _CHANGED, data, secrets=secrets)
        return config or WorkerConfig(script_tag=script_tag)

    async def update(
        self,
        script_tag: str,
        *,
        branch: str | UnsetType = UNSET,
        production_settings: BuildSettingsUpdate | UnsetType = UNSET,
        previews_enabled: bool | UnsetType = UNSET,
        previews_base_config: BuildSettingsUpdate | UnsetType = UNSET,
        patch_existing_previews: bool = False,
    ) -> WorkerConfig:
        """Change the build configuration of a Worker; fields left UNSET keep their values.

        `branch` is the production branch, the API's `git_repository.branch`. With `patch_existing_previews`,
        a change of `previews_base_config` applies to existing previews too, not only to new ones (False).
        ValueError without any change, NotFoundError if the Worker has no build configuration. If the API
        returns no configuration, the result has only the tag.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/
        """
        changes = {
            "git_repository": UNSET if isinstance(branch, UnsetType) else {"branch": checked_branch(branch)},
            "production_settings": production_settings,
            "previews_enabled": previews_enabled,
            "previews_base_config": previews_base_config,
        }
        if all(change is UNSET for change in changes.values()):
            raise ValueError("an update of a Worker needs at least one field")
        parameters = query(patch_existing_previews="true" if patch_existing_previews else None)
        secrets = hidden(settings_secrets(production_settings, previews_base_config))
        config = await self._session.patch(
            _path(script_tag), _CHANGED, body(**changes), parameters, secrets=secrets
        )
        return config or WorkerConfig(script_tag=tag(script_tag))

    async def delete(self, script_tag: str) -> None:
        """Delete the build configuration and the triggers of a Worker, and cancel its unfinished builds.

        The Worker itself stays and keeps serving traffic. NotFoundError if it has no build configuration.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/
        """
        await self._session.delete(_path(script_tag), DONE)

    async def migrate_to_previews(
        self, script_tag: str, *, deploy_command: str | UnsetType = UNSET
    ) -> WorkerConfig:
        """Replace the legacy trigger, which builds all branches but production, by previews.

        Without a `deploy_command`, the API rewrites `wrangler versions upload` to `wrangler preview`. If it
        can't rewrite the present command, it responds with a BadRequestError: then pass a `deploy_command`.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/
        """
        path, data = f"{_path(script_tag)}/migrate_to_previews", body(deploy_command=deploy_command)
        config = await self._session.post(path, _CHANGED, data)
        return config or WorkerConfig(script_tag=tag(script_tag))

    async def subdomain(self, script_name: str) -> WorkerSubdomain:
        """Whether a Worker and its versions can be reached below workers.dev. Takes the name of the Worker.

        NotFoundError if the account has no such Worker. `client.account.subdomain` returns the subdomain.

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/scripts/subresources/subdomain/methods/get/
        """
        return await self._session.get(f"/workers/scripts/{segment(script_name)}/subdomain", _SUBDOMAIN)

    async def _tags_of(self, names: Collection[str], *, refresh: bool) -> dict[str, str]:
        """The tags of all Workers by name. NotFoundError if one of `names` is not among them."""
        begun = self._begun
        if refresh or not self._tags.keys() >= set(names):
            async with self._listing:
                # While this call waited for the lock, another call may have fetched the list. A fetch that
                # began after this call is as good as a new one. An earlier one is good for the names in it,
                # but does not prove that other names do not exist.
                if self._listed <= begun and (refresh or not self._tags.keys() >= set(names)):
                    await self._fetch_tags()
        for name in names:
            if name not in self._tags:
                raise _no_worker(name, self._tags)
        return self._tags

    async def _fetch_tags(self) -> None:
        await asyncio.sleep(0)  # lets concurrent calls read `_begun` first, so that they share this request
        self._begun += 1
        self._tags = {script.id: script.tag for script in await self.list() if script.tag}
        self._listed = self._begun


def _no_worker(name: str, known: Iterable[str]) -> NotFoundError:
    from difflib import get_close_matches  # noqa: PLC0415  # its import takes a millisecond, and only this error needs it

    folded = {it.casefold(): it for it in known}
    longer = [it for it in folded if name and name.casefold() in it]
    # First the names that contain this one: people often remember only a part of a long name.
    similar = dict.fromkeys([*longer, *get_close_matches(name.casefold(), folded)])
    suggestions = [folded[it] for it in similar][:_MAX_SUGGESTIONS]
    hint = f"; there is {', '.join(map(repr, suggestions))}" if suggestions else ""
    return NotFoundError(
        f"no Worker of this account has the name {quoted(name)}{hint}. Check the name and the account;"
        " a Worker that was never deployed is not in the list",
        status=404,
    )


def _path(script_tag: str) -> str:
    return f"/builds/workers/{tag(script_tag)}"
