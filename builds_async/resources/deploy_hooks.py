"""Deploy hooks: URLs that start a build of one branch."""

import msgspec

from builds_async.models.deploy_hooks import DeployHook, DeployHookBuild
from builds_async.models.envelope import Envelope
from builds_async.session.api import ApiSession
from builds_async.session.lenient import receipts
from builds_async.session.wire import Secret, body, identifier, segment

MAX_NAME = 58
"""How many characters the name of a deploy hook may have."""

_HOOK = msgspec.json.Decoder(Envelope[DeployHook])
_HOOKS = msgspec.json.Decoder(Envelope[tuple[DeployHook, ...]])
_CHANGED = receipts(DeployHook)
_BUILD = msgspec.json.Decoder(Envelope[DeployHookBuild])


class DeployHooks:
    """The deploy hooks of Workers.

    https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/

    These methods take the **name** of a Worker, not its tag. Reading needs the permission "Workers CI
    Read", all else "Workers CI Write" (the dashboard also says "Workers Builds: Edit"); `trigger` needs none.

    Whoever knows a `deploy_hook_uuid` can start builds: it is kept out of errors, logs and `repr`.

    Every method raises a `BuildsError` when there is no good answer, and ValueError, before anything is
    sent, for what the API's schema rules out.
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session
        self._root = session.at_root()

    async def list(self, script_name: str) -> tuple[DeployHook, ...]:
        """The deploy hooks of a Worker, each with when it last started a build. It has no pages.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/methods/list/
        """
        path = _path(script_name)
        return (await self._session.envelope("GET", path, _HOOKS, confidential=True)).result or ()

    async def create(self, script_name: str, *, deploy_hook_name: str, branch: str) -> DeployHook:
        """Make a hook that starts builds of a branch.

        `deploy_hook_name` has 1 to 58 characters. ConflictError if there is one of that name.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/methods/create/
        """
        envelope = await self._session.envelope(
            "POST",
            _path(script_name),
            _HOOK,
            body=_request(deploy_hook_name, branch),
            nullable=False,
            confidential=True,
        )
        return envelope.result

    async def get(self, script_name: str, deploy_hook_uuid: str) -> DeployHook:
        """One deploy hook.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/methods/get/
        """
        deploy_hook_uuid = Secret(deploy_hook_uuid)
        return (await self._one("GET", script_name, deploy_hook_uuid, _HOOK)).result

    async def update(
        self, script_name: str, deploy_hook_uuid: str, *, deploy_hook_name: str, branch: str
    ) -> DeployHook:
        """Replace the name and the branch of a hook; its UUID stays.

        Repeated like a read when no answer came: replacing twice is replacing.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/methods/update/
        """
        deploy_hook_uuid = Secret(deploy_hook_uuid)
        data = _request(deploy_hook_name, branch)
        envelope = await self._one("PUT", script_name, deploy_hook_uuid, _CHANGED, data)
        return envelope.result or DeployHook(
            deploy_hook_uuid=str(deploy_hook_uuid), deploy_hook_name=deploy_hook_name, branch=branch
        )

    async def delete(self, script_name: str, deploy_hook_uuid: str) -> DeployHook | None:
        """Delete a hook, and give it as it was, if the API tells: its UUID starts no more builds.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/methods/delete/
        """
        deploy_hook_uuid = Secret(deploy_hook_uuid)
        return (await self._one("DELETE", script_name, deploy_hook_uuid, _CHANGED)).result or None

    async def trigger(self, deploy_hook_uuid: str) -> DeployHookBuild:
        """Start a build of the hook's branch, or learn of the one that is pending: see `already_exists`.

        No token is sent along, the UUID is the secret. Sent once. After a lost answer (a
        `BuildsConnectionError` with `sent`, a 5xx) it may be triggered again: while a build of the branch is
        pending the API starts no second one, but one that has begun by then is built again. NotFoundError for
        an unknown hook, RateLimitError beyond 10 builds a minute of one Worker.

        Needs no permission.
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/methods/trigger/
        """
        deploy_hook_uuid = Secret(deploy_hook_uuid)
        place = _place(deploy_hook_uuid)
        envelope = await self._root.envelope(
            "POST",
            f"/workers/builds/deploy_hooks/{place}",
            _BUILD,
            nullable=False,
            secrets=(deploy_hook_uuid, place),
            anonymous=True,
        )
        return envelope.result

    async def _one(
        self,
        method: str,
        script_name: str,
        deploy_hook_uuid: str,
        decoder: msgspec.json.Decoder[Envelope[DeployHook]],
        data: bytes | None = None,
    ) -> Envelope[DeployHook]:
        place = _place(deploy_hook_uuid)
        return await self._session.envelope(
            method,
            f"{_path(script_name)}/{place}",
            decoder,
            body=data,
            nullable=False,
            secrets=(deploy_hook_uuid, place),
        )


def _path(script_name: str) -> str:
    return f"/builds/workers/{segment(script_name)}/deploy_hooks"


def _place(deploy_hook_uuid: str) -> str:
    """The UUID as a segment of a path; the error for what can't be one does not show it."""
    try:
        return Secret(identifier(deploy_hook_uuid))
    except ValueError:
        raise ValueError(
            "deploy_hook_uuid can't be an id (it is a secret and not shown): pass the UUID alone, not the URL"
        ) from None


def _request(deploy_hook_name: str, branch: str) -> bytes:
    if not 1 <= len(deploy_hook_name) <= MAX_NAME:
        raise ValueError(f"deploy_hook_name has 1 to {MAX_NAME} characters, not {len(deploy_hook_name)}")
    return body(deploy_hook_name=deploy_hook_name, branch=branch)
