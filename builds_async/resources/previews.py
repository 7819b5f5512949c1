"""Previews of Workers, and their builds."""

from functools import partial

import msgspec
from msgspec import UNSET, UnsetType

from builds_async.models.builds import Build
from builds_async.models.envelope import Envelope, Page
from builds_async.models.previews import Preview
from builds_async.models.seeds import SeedRepo
from builds_async.models.workers import BuildSettingsUpdate, checked_branch, settings_secrets
from builds_async.resources.paging import Pages, check_page, get_page
from builds_async.resources.starting import BuildStarter, LookupResult
from builds_async.session.call import Call
from builds_async.session.decode import receipts
from builds_async.session.encode import body, query
from builds_async.session.ids import tag
from builds_async.session.redact import hidden
from builds_async.session.session import ApiSession

_PREVIEW = msgspec.json.Decoder(Envelope[Preview])
_PREVIEWS = msgspec.json.Decoder(Envelope[tuple[Preview, ...]])
_CHANGED = receipts(Preview)
_BUILDS = msgspec.json.Decoder(Envelope[tuple[Build, ...]])


class Previews:
    """The previews of Workers: https://developers.cloudflare.com/api/resources/workers_builds/.

    Reading needs the permission "Workers CI Read", everything else "Workers CI Write"; the dashboard calls
    them "Workers Builds Configuration", Read and Edit. These methods take the tag of a Worker, not its name.
    `preview_id` is a tag too.

    Every method raises a `BuildsError` if the call fails, and a ValueError, before anything is sent, for an
    argument that the API can't accept. A call that changes something is repeated only if it can't have taken
    effect.
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session
        self._starter = BuildStarter(session)

    async def list(self, script_tag: str, *, page: int = 1, per_page: int = 50) -> Page[Preview]:
        """One page of a Worker's previews, without their settings.

        `page` counts from 1 (1), `per_page` is 1 to 200 (50).

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/
        """
        check_page(page, per_page)
        parameters = query(page=page, per_page=per_page)
        return await get_page(self._session, _previews(script_tag), _PREVIEWS, parameters)

    def iter(self, script_tag: str, *, per_page: int = 50) -> Pages[Preview]:
        """All previews of a Worker, each once. Pages are fetched as the loop reaches them.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/
        """
        tag(script_tag)  # a ValueError here, not in the loop
        return Pages(
            partial(self.list, script_tag, per_page=per_page),
            key=lambda preview: preview.preview_id,
            per_page=per_page,
        )

    async def get(self, script_tag: str, preview_id: str) -> Preview:
        """One preview, with its current settings. NotFoundError if the Worker has no such preview.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/
        """
        return await self._session.get(_preview(script_tag, preview_id), _PREVIEW)

    async def update(
        self,
        script_tag: str,
        preview_id: str,
        *,
        branch: str | UnsetType = UNSET,
        auto_build: bool | UnsetType = UNSET,
        auto_delete: bool | UnsetType = UNSET,
        settings: BuildSettingsUpdate | UnsetType = UNSET,
    ) -> Preview:
        """Change a preview; fields left UNSET keep their values.

        `auto_build`: whether a push to the branch builds the preview. `auto_delete`: whether the preview is
        deleted together with its branch. ValueError without any change, NotFoundError if there is no such
        preview, ConflictError if another preview has the branch. If the API returns no preview, the result
        has only the id.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/
        """
        changes = {
            "branch": branch if isinstance(branch, UnsetType) else checked_branch(branch),
            "auto_build": auto_build,
            "auto_delete": auto_delete,
            "settings": settings,
        }
        if all(change is UNSET for change in changes.values()):
            raise ValueError("an update of a preview needs at least one field")
        path, secrets = _preview(script_tag, preview_id), hidden(settings_secrets(settings))
        preview = await self._session.patch(path, _CHANGED, body(**changes), secrets=secrets)
        return preview or Preview(preview_id=tag(preview_id))

    async def builds(
        self, script_tag: str, preview_id: str, *, page: int = 1, per_page: int = 50
    ) -> Page[Build]:
        """One page of the builds of a preview. NotFoundError if there is no such preview.

        `page` counts from 1 (1), `per_page` is 1 to 200 (50).

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/
        """
        check_page(page, per_page)
        path, parameters = f"{_preview(script_tag, preview_id)}/builds", query(page=page, per_page=per_page)
        return await get_page(self._session, path, _BUILDS, parameters)

    def iter_builds(self, script_tag: str, preview_id: str, *, per_page: int = 50) -> Pages[Build]:
        """All builds of a preview, each once. Pages are fetched as the loop reaches them.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/
        """
        _preview(script_tag, preview_id)  # a ValueError here, not in the loop
        return Pages(
            partial(self.builds, script_tag, preview_id, per_page=per_page),
            key=lambda build: build.build_uuid,
            per_page=per_page,
        )

    async def start_build(
        self,
        script_tag: str,
        preview_id: str,
        *,
        branch: str | None = None,
        commit_hash: str | None = None,
        seed_repo: SeedRepo | None = None,
    ) -> Build:
        """Start a build of a preview, from a `branch` or a full `commit_hash`. ValueError without either.

        The request is never repeated if it may have arrived. If the response is lost, the build is looked up
        among the builds of the preview, as in `client.triggers.start_build`.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/
        """
        path = f"{_preview(script_tag, preview_id)}/builds"
        return await self._starter.start(
            path,
            (partial(self._latest, path),),
            branch=branch,
            commit_hash=commit_hash,
            seed_repo=seed_repo,
        )

    async def _latest(self, path: str) -> LookupResult:
        """The latest builds of a preview. One of them may be the build whose response was lost."""
        call = Call("GET", path, _BUILDS, query(page=1, per_page=50), nullable=True)
        reply = await self._session.exchange(call)
        return LookupResult(reply.result or (), reply.date)


def _previews(script_tag: str) -> str:
    return f"/builds/workers/{tag(script_tag)}/previews"


def _preview(script_tag: str, preview_id: str) -> str:
    return f"{_previews(script_tag)}/{tag(preview_id)}"
