"""Builds and their logs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec

from builds_async.errors import BuildsError, ResponseDecodeError
from builds_async.models.builds import Build, BuildMap, CanceledBuild
from builds_async.models.envelope import Envelope, Page
from builds_async.models.logs import LogPage
from builds_async.resources.bulk import BulkResult, fan_out
from builds_async.resources.paging import Pages, check_page, get_page
from builds_async.session.api import ApiSession
from builds_async.session.lenient import receipts, skipped
from builds_async.session.wire import checked_tags, id_list, identifier, normalized_id, query, tag

_BUILD = msgspec.json.Decoder(Envelope[Build])
_BUILDS = msgspec.json.Decoder(Envelope[tuple[Build, ...]])
_BUILD_MAP = msgspec.json.Decoder(Envelope[BuildMap])
_CANCELED = receipts(CanceledBuild)
_LOGS = msgspec.json.Decoder(Envelope[LogPage])


class Builds:
    """The builds of an account: https://developers.cloudflare.com/api/resources/workers_builds/.

    Reading needs the permission "Workers CI Read", cancelling "Workers CI Write"; the dashboard calls them
    "Workers Builds Configuration", Read and Edit. The token must be owned by a user: the Builds API refuses
    account-owned tokens. A Worker is named by its tag (`external_script_id`, 32 hex digits), not by its
    name.

    Every method raises a `BuildsError` when there is no good answer, and ValueError, before anything is
    sent, for an id that can't be one.
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session

    async def get(self, build_uuid: str) -> Build:
        """One build, as it is now. NotFoundError if the account has no such build.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/builds/methods/get/
        """
        path = f"/builds/builds/{identifier(build_uuid)}"
        return (await self._session.envelope("GET", path, _BUILD, nullable=False)).result

    async def cancel(self, build_uuid: str) -> CanceledBuild:
        """Cancel a queued or running build.

        Repeated like a read when no answer came: cancelling twice is cancelling.
        What the API answers for a build that has already stopped is not documented; read the build
        after an `APIError`. A success that says nothing, or nothing that can be read, gives the UUID alone.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/builds/methods/cancel/
        """
        path = f"/builds/builds/{identifier(build_uuid)}/cancel"
        envelope = await self._session.envelope("PUT", path, _CANCELED)
        return envelope.result or CanceledBuild(build_uuid=build_uuid)

    async def logs(self, build_uuid: str, *, cursor: str | None = None) -> LogPage:
        """One page of a build's log: the first, or the one behind `cursor`.

        NotFoundError for an unknown build, and perhaps for one that has not begun. To read a whole log,
        or one that still grows, use `client.follow`.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/builds/subresources/logs/methods/get/
        """
        path = f"/builds/builds/{identifier(build_uuid)}/logs"
        envelope = await self._session.envelope("GET", path, _LOGS, query(cursor=cursor))
        return envelope.result or LogPage()

    async def latest(self, external_script_ids: Iterable[str]) -> BulkResult[Build]:
        """The latest build of each of these Workers, by their tags.

        Any number of tags: 20 go into one request, and requests go out concurrently within the client's
        `max_in_flight` and budget. A Worker without builds is in `missing`. AuthenticationError and
        PermissionDeniedError end the look-up and are raised; other errors are in `failed`, as is a
        ResponseDecodeError for a Worker whose build can't be read. The result has the tags as they were
        passed; upper case or lower case is the same Worker, and is asked for once.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/methods/get_latest_builds/
        """
        tags = checked_tags(external_script_ids)
        return await self._look_up("/builds/builds/latest", "external_script_ids", tags)

    async def by_version(self, version_ids: Iterable[str]) -> BulkResult[Build]:
        """The build that made each of these Worker versions, by version id.

        A successful build need not have deployed: this is how to learn which build the deployed version
        came from. Any number of ids, answered as by `latest`, under the ids as they were passed.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/methods/get_builds_by_version/
        """
        return await self._look_up("/builds/builds", "version_ids", version_ids)

    async def list(self, external_script_id: str, *, page: int = 1, per_page: int = 50) -> Page[Build]:
        """One page of a Worker's builds, newest first as far as seen; the API promises no order.

        `page` counts from 1, `per_page` is 1 to 200. There is no filter and no list of the whole account.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/builds/methods/list/
        """
        check_page(page, per_page)
        path = f"/builds/workers/{tag(external_script_id)}/builds"
        return await get_page(self._session, path, _BUILDS, query(page=page, per_page=per_page))

    def iter(self, external_script_id: str, *, per_page: int = 50) -> Pages[Build]:
        """All builds of a Worker, one page at a time as they are asked for; each once, in the API's order.

        `async for build in client.builds.iter(tag)`: may be left with `break` at any time and taken up again.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/builds/methods/list/
        """
        tag(external_script_id)

        return Pages(
            partial(self.list, external_script_id, per_page=per_page),
            key=lambda build: build.build_uuid,
            per_page=per_page,
        )

    async def _look_up(self, path: str, name: str, ids: Iterable[str]) -> BulkResult[Build]:
        return await fan_out(ids, partial(self._chunk, path, name), workers=self._session.max_in_flight)

    async def _chunk(
        self, path: str, name: str, ids: Sequence[str]
    ) -> Mapping[str, Build | BuildsError | None]:
        envelope = await self._session.envelope("GET", path, _BUILD_MAP, f"{name}={id_list(ids)}")
        builds = (envelope.result and envelope.result.builds) or {}
        unreadable = {
            loss.key: _unreadable(path) for loss in skipped(envelope, ".result.builds{}") if loss.key
        }
        return {normalized_id(key): it for key, it in {**builds, **unreadable}.items()}


class DatedBuilds(Builds):
    """The builds as live verbs read them: with the date of the response, which no clock of ours can shift."""

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime]:
        """One build as `get` gives it, and the server's date of the response, to the second.

        By this machine's clock where the response has no `Date`.
        """
        build = await self.get(build_uuid)
        # Nothing else runs between the response and this line, so it is the date of that response.
        return build, self._session.date or datetime.now(UTC)


def _unreadable(path: str) -> ResponseDecodeError:
    return ResponseDecodeError(
        "the build in the answer can't be read: it is no object with a `build_uuid`",
        status=200,
        method="GET",
        path=path,
        attempts=1,
    )
