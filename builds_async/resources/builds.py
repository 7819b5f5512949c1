"""Builds and their logs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import msgspec

from builds_async.errors import BuildsError, NotFoundError, ResponseDecodeError
from builds_async.models.builds import Build, BuildMap, CanceledBuild, Trigger
from builds_async.models.envelope import Envelope, Page
from builds_async.models.logs import LogPage
from builds_async.resources.bulk import fan_out
from builds_async.resources.choosing import choose
from builds_async.resources.paging import Pages, check_page, page_of
from builds_async.resources.starting import checked_commit
from builds_async.results import BulkResult
from builds_async.session.call import Call
from builds_async.session.decode import receipts
from builds_async.session.encode import query
from builds_async.session.ids import checked_tags, id_list, identifier, normalized_id, tag
from builds_async.session.session import ApiSession

_BUILD = msgspec.json.Decoder(Envelope[Build])
_BUILDS = msgspec.json.Decoder(Envelope[tuple[Build, ...]])
_BUILD_MAP = msgspec.json.Decoder(Envelope[BuildMap])
_CANCELED = receipts(CanceledBuild)
_LOGS = msgspec.json.Decoder(Envelope[LogPage])
_LATEST = "/builds/builds/latest"

_OnDate = Callable[[datetime | None], object]
"""Called with the server's date of each response; None if the response has none."""


class StartsBuilds(Protocol):
    """Starts builds by triggers. `TriggerStarts` implements it."""

    async def triggers_of(self, external_script_id: str) -> tuple[Trigger, ...]:
        """The triggers of a Worker."""
        ...

    def remember(self, trigger: Trigger) -> Trigger:
        """Remember the Worker of a trigger."""
        ...

    async def start(self, trigger_uuid: str, *, branch: str | None, commit_hash: str | None) -> Build:
        """Start a build by a trigger."""
        ...


class BuildReads:
    """The methods of `Builds` that only read."""

    def __init__(self, session: ApiSession) -> None:
        self._session = session

    async def get(self, build_uuid: str) -> Build:
        """One build, as it is now. NotFoundError if the account has no such build.

        Only this call returns a `preview_url`. To wait until a build has ended, use `client.wait`.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/builds/methods/get/
        """
        return await self._session.get(_path(build_uuid), _BUILD)

    async def logs(self, build_uuid: str, *, cursor: str | None = None) -> LogPage:
        """One page of a build's log: the first page, or the one at `cursor`.

        To read a whole log, or one that is still growing, use `client.follow`. NotFoundError for an unknown
        build, and possibly for a build that has not begun, or whose log is no longer kept (90 days).

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/builds/subresources/logs/methods/get/
        """
        path, parameters = f"{_path(build_uuid)}/logs", query(cursor=cursor)
        return await self._session.get(path, _LOGS, parameters, nullable=True) or LogPage()

    async def latest(self, external_script_ids: Iterable[str]) -> BulkResult[Build]:
        """The latest build of each of these Workers, by their tags.

        Pass any number of tags: each request looks up 20, and requests run concurrently within the client's
        `max_in_flight` and budget. The result has the tags as they were passed. Tags that differ only in case
        are the same Worker, which is looked up once.

        A Worker without builds is in `missing`. AuthenticationError and PermissionDeniedError end the lookup
        and are raised, because every other request would fail too. Any other error affects only the Workers
        of its request, which are in `failed`. A Worker whose build can't be read is in `failed` with a
        ResponseDecodeError.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/methods/get_latest_builds/
        """
        tags = checked_tags(external_script_ids)
        return await self._look_up(_LATEST, "external_script_ids", tags)

    async def by_version(self, version_ids: Iterable[str]) -> BulkResult[Build]:
        """The build that made each of these Worker versions, by version id.

        Use it to find out which build a deployed version came from: a successful build alone does not prove a
        deployment. A version that no build made is in `missing`. Everything else is as in `latest`.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/methods/get_builds_by_version/
        """
        return await self._look_up("/builds/builds", "version_ids", version_ids)

    async def list(self, external_script_id: str, *, page: int = 1, per_page: int = 50) -> Page[Build]:
        """One page of a Worker's builds: newest first, as seen live. The API guarantees no order.

        `page` counts from 1 (1), `per_page` is 1 to 200 (50). The API has no filter, and no list of all
        builds of an account. Builds of pull requests may be missing: see `client.previews.builds`.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/builds/methods/list/
        """
        check_page(page, per_page)
        return page_of(await self._session.exchange(_list_call(external_script_id, page, per_page)))

    def iter(self, external_script_id: str, *, per_page: int = 50) -> Pages[Build]:
        """All builds of a Worker, each once, in the API's order. Pages are fetched as the loop reaches them.

        `async for build in client.builds.iter(tag)`. After a `break`, another loop over the same object
        continues there.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/builds/methods/list/
        """
        tag(external_script_id)  # a ValueError here, not in the loop
        return Pages(
            partial(self.list, external_script_id, per_page=per_page),
            key=lambda build: build.build_uuid,
            per_page=per_page,
        )

    async def _look_up(
        self, path: str, parameter: str, ids: Iterable[str], on_date: _OnDate | None = None
    ) -> BulkResult[Build]:
        fetch = partial(self._look_up_chunk, path, parameter, on_date)
        return await fan_out(ids, fetch, workers=self._session.max_in_flight)

    async def _look_up_chunk(
        self, path: str, parameter: str, on_date: _OnDate | None, ids: Sequence[str]
    ) -> Mapping[str, Build | BuildsError | None]:
        call = Call("GET", path, _BUILD_MAP, f"{parameter}={id_list(ids)}", nullable=True)
        reply = await self._session.exchange(call)
        if on_date is not None:
            on_date(reply.date)
        builds = (reply.result and reply.result.builds) or {}
        # Decoding leaves out an unreadable build. Without an error in its place, its Worker would be missing,
        # as if it had no builds.
        place = self._session.full_path(path)
        unreadable = {loss.key: _unreadable(place) for loss in reply.lost(".result.builds{}") if loss.key}
        return {normalized_id(key): it for key, it in {**builds, **unreadable}.items()}


class Builds(BuildReads):
    """The builds of an account: https://developers.cloudflare.com/api/resources/workers_builds/.

    Reading needs the permission "Workers CI Read", everything else "Workers CI Write"; the dashboard calls
    them "Workers Builds Configuration", Read and Edit. A user must own the token: the Builds API refuses
    account-owned tokens. These methods take the tag of a Worker (`external_script_id`, 32 hex digits), not
    its name. `client.workers.tags` looks up the tags of names.

    Every method raises a `BuildsError` if the call fails, and a ValueError, before anything is sent, for an
    id that is not valid.
    """

    def __init__(self, session: ApiSession, starts: StartsBuilds) -> None:
        super().__init__(session)
        self._starts = starts

    async def cancel(self, build_uuid: str) -> CanceledBuild:
        """Cancel a queued or running build. NotFoundError if the account has no such build.

        Canceling twice is harmless, so the call is retried like a read. The API's response for a build that
        has stopped already is undocumented: after any other `APIError`, read the build. If the response has
        no readable result, this returns a result with only the `build_uuid`.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/builds/methods/cancel/
        """
        canceled = await self._session.put(f"{_path(build_uuid)}/cancel", _CANCELED)
        return canceled or CanceledBuild(build_uuid=build_uuid)

    async def start(
        self,
        external_script_id: str,
        *,
        branch: str | None = None,
        commit_hash: str | None = None,
        trigger: str | None = None,
    ) -> Build:
        """Start a build of a Worker with the trigger that a push to `branch` would use.

        That is the trigger that names the branch, or else the one for `*`, unless it excludes the branch.
        `commit_hash` is the full hash of a commit, which is built as a commit of `branch`.

        - A commit without a branch needs a Worker with only one trigger.
        - Without branch and commit, the only branch that the triggers name is built. With the usual two
          triggers, for `main` and for all but `main`, that is `main`.
        - `trigger` is the UUID or the name of the trigger to use instead, even for a branch that it excludes.
          If it names exactly one branch, you need to pass neither a branch nor a commit.

        NotFoundError if the Worker has no trigger, or none for this branch or with this name. ValueError if
        several triggers are possible: pass the `trigger`, or the branch. As with
        `client.triggers.start_build`, the build is never started twice, and is found again after a lost
        response. One more request lists the triggers.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/methods/create_build/
        """
        external_script_id, commit_hash = tag(external_script_id), checked_commit(commit_hash)
        triggers = await self._starts.triggers_of(external_script_id)
        choice = choose(triggers, branch, commit_hash, trigger)
        return await self._starts.start(choice.trigger_uuid, branch=choice.branch, commit_hash=commit_hash)

    async def retry(self, build_uuid: str) -> Build:
        """Start a new build with the trigger, branch and commit of a build. It gets its own `build_uuid`.

        The commands and variables are those that the trigger has now. If the old build was started without a
        commit, the newest commit of its branch is built. The old build may still be running.

        NotFoundError if the account has no such build, if its trigger is deleted, or if the API does not say
        what was built: no trigger (for a Preview, use `client.previews.start_build`), neither branch nor
        commit, or only a shortened commit hash. As with `client.triggers.start_build`, the new build is never
        started twice, and is found again after a lost response. One more request reads the old build.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/triggers/methods/create_build/
        """
        build = await self.get(build_uuid)
        trigger, branch, commit_hash = build.trigger, build.branch, build.commit_hash
        if trigger is None or not trigger.trigger_uuid:
            raise _not_repeatable(build, "the API does not name its trigger")
        if branch is None and commit_hash is None:
            raise _not_repeatable(build, "the API gives neither its branch nor its commit")
        try:
            checked_commit(commit_hash)
        except ValueError:
            raise _not_repeatable(build, f"the API does not give the full hash of {commit_hash!r}") from None
        self._starts.remember(trigger)
        return await self._starts.start(trigger.trigger_uuid, branch=branch, commit_hash=commit_hash)


class DatedBuilds(BuildReads):
    """Builds together with the server's date, so that live verbs don't depend on this machine's clock."""

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime]:
        """The result of `get`, and the server's date of the response, in whole seconds.

        If the response has no `Date`, it is the date of this machine's clock.
        """
        reply = await self._session.exchange(Call("GET", _path(build_uuid), _BUILD))
        return reply.result, reply.date or datetime.now(UTC)

    async def latest_dated(
        self, external_script_ids: Iterable[str]
    ) -> tuple[BulkResult[Build], datetime | None]:
        """The result of `latest`, and the server's date of the last response; None if it has no date."""
        dates: list[datetime | None] = [None]
        tags = checked_tags(external_script_ids)
        result = await self._look_up(_LATEST, "external_script_ids", tags, dates.append)
        return result, dates[-1]

    async def list_dated(self, external_script_id: str) -> tuple[Page[Build], datetime | None]:
        """The first page of `list`, and the server's date of the response; None if it has no date."""
        reply = await self._session.exchange(_list_call(external_script_id))
        return page_of(reply), reply.date


def _path(build_uuid: str) -> str:
    return f"/builds/builds/{identifier(build_uuid)}"


def _list_call(external_script_id: str, page: int = 1, per_page: int = 50) -> Call[tuple[Build, ...]]:
    path = f"/builds/workers/{tag(external_script_id)}/builds"
    return Call("GET", path, _BUILDS, query(page=page, per_page=per_page), nullable=True)


def _not_repeatable(build: Build, why: str) -> NotFoundError:
    return NotFoundError(f"build {build.build_uuid} can't be started again: {why}", status=404)


def _unreadable(path: str) -> ResponseDecodeError:
    return ResponseDecodeError(
        "the build in the response is not an object with a `build_uuid`",
        status=200,
        method="GET",
        path=path,
        attempts=1,
    )
