"""The deployments of Workers."""

from datetime import datetime

import msgspec

from builds_async.errors import ResponseDecodeError
from builds_async.models.deployments import Deployment, DeploymentList
from builds_async.models.envelope import Envelope
from builds_async.session.call import Call
from builds_async.session.ids import identifier, segment
from builds_async.session.reply import Reply
from builds_async.session.session import ApiSession

_DEPLOYMENTS = msgspec.json.Decoder(Envelope[DeploymentList])
_DEPLOYMENT = msgspec.json.Decoder(Envelope[Deployment])


class Deployments:
    """The deployments of Workers.

    https://developers.cloudflare.com/api/resources/workers/subresources/scripts/

    Reading needs the permission "Workers Scripts Read". Account-owned tokens are accepted here too. These
    methods take the name of a Worker, not its tag. A wrangler environment is a Worker of its own, `name-env`.

    Every method raises a `BuildsError` if the call fails, a NotFoundError if the account has no such Worker,
    and a ValueError, before anything is sent, for an id that is not valid.
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session

    async def list(self, script_name: str) -> tuple[Deployment, ...]:
        """The 10 newest deployments of a Worker, newest first. The API does not list older ones.

        The result is empty for a Worker that was never deployed.

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/scripts/subresources/deployments/methods/list/
        """
        return (await self._read(script_name)).result.deployments

    async def get(self, script_name: str, deployment_id: str) -> Deployment:
        """One deployment of a Worker. NotFoundError if the Worker has no such deployment.

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/scripts/subresources/deployments/methods/get/
        """
        path = f"{_path(script_name)}/{identifier(deployment_id)}"
        return await self._session.get(path, _DEPLOYMENT)

    async def current(self, script_name: str) -> Deployment | None:
        """The deployment that serves traffic now; None for a Worker that was never deployed.

        ResponseDecodeError if any deployment of the list can't be read, because it might be the current one.

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/scripts/subresources/deployments/methods/list/
        """
        return next(iter((await self._all(script_name)).result.deployments), None)

    async def _all(self, script_name: str) -> Reply[DeploymentList]:
        """The complete list. ResponseDecodeError if a deployment can't be read."""
        reply = await self._read(script_name)
        # Decoding leaves out an unreadable deployment, and that may have been the newest one.
        if reply.lost(".result.deployments[]"):
            raise ResponseDecodeError(
                "the current deployment is unknown: a deployment in the response can't be read",
                status=200,
                method="GET",
                path=self._session.full_path(_path(script_name)),
                attempts=1,
            )
        return reply

    async def _read(self, script_name: str) -> Reply[DeploymentList]:
        return await self._session.exchange(Call("GET", _path(script_name), _DEPLOYMENTS))


class DatedDeployments(Deployments):
    """Deployments with the server's date, so that their age does not depend on this machine's clock."""

    async def list_dated(self, script_name: str) -> tuple[tuple[Deployment, ...], datetime | None]:
        """The result of `list`, and the server's date of the response; None if it has no date.

        ResponseDecodeError if a deployment can't be read.
        """
        reply = await self._all(script_name)
        return reply.result.deployments, reply.date


def _path(script_name: str) -> str:
    return f"/workers/scripts/{segment(script_name)}/deployments"
