"""The versions of Workers."""

from datetime import UTC, datetime
from functools import partial

import msgspec

from builds_async.models.deployments import Version, VersionList
from builds_async.models.envelope import Envelope, Page
from builds_async.resources.paging import Pages, check_page
from builds_async.session.call import Call
from builds_async.session.encode import query
from builds_async.session.ids import identifier, segment
from builds_async.session.session import ApiSession

_VERSIONS = msgspec.json.Decoder(Envelope[VersionList])
_VERSION = msgspec.json.Decoder(Envelope[Version])


class Versions:
    """The versions of Workers: https://developers.cloudflare.com/api/resources/workers/subresources/scripts/.

    Reading needs the permission "Workers Scripts Read". Account-owned tokens are accepted here too. These
    methods take the name of a Worker, not its tag. `client.deployments` shows which version serves traffic.

    Every method raises a `BuildsError` if the call fails, a NotFoundError if the account has no such Worker,
    and a ValueError, before anything is sent, for an id that is not valid.
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session

    async def list(
        self, script_name: str, *, page: int = 1, per_page: int = 10, deployable: bool = False
    ) -> Page[Version]:
        """One page of a Worker's versions, newest first.

        `page` counts from 1 (1), `per_page` is 1 to 100 (10). `deployable=True` returns all versions that a
        new deployment may use at once: the API then ignores `page` and `per_page`.

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/scripts/subresources/versions/methods/list/
        """
        check_page(page, per_page, 100)
        parameters = query(page=page, per_page=per_page, deployable="true" if deployable else None)
        reply = await self._session.exchange(Call("GET", _path(script_name), _VERSIONS, parameters))
        skipped = len(reply.lost(".result.items[]"))
        return Page(result=reply.result.items, result_info=reply.result_info, skipped=skipped)

    def iter(self, script_name: str, *, per_page: int = 100) -> Pages[Version]:
        """All versions of a Worker, each once. Pages are fetched as the loop reaches them.

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/scripts/subresources/versions/methods/list/
        """
        segment(script_name)  # a ValueError here, not in the loop
        return Pages(
            partial(self.list, script_name, per_page=per_page),
            key=lambda version: version.id,
            per_page=per_page,
        )

    async def get(self, script_name: str, version_id: str) -> Version:
        """One version of a Worker, with its resources. NotFoundError if the Worker has no such version.

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/scripts/subresources/versions/methods/get/
        """
        return await self._session.send(_get_call(script_name, version_id))


class DatedVersions(Versions):
    """Versions with the server's date, so that their age does not depend on this machine's clock."""

    async def get_dated(self, script_name: str, version_id: str) -> tuple[Version, datetime]:
        """The result of `get`, and the server's date of the response, in whole seconds.

        If the response has no `Date`, it is the date of this machine's clock.
        """
        reply = await self._session.exchange(_get_call(script_name, version_id))
        return reply.result, reply.date or datetime.now(UTC)


def _get_call(script_name: str, version_id: str) -> Call[Version]:
    return Call("GET", f"{_path(script_name)}/{identifier(version_id)}", _VERSION)


def _path(script_name: str) -> str:
    return f"/workers/scripts/{segment(script_name)}/versions"
