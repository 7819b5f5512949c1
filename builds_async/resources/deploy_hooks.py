"""Deploy hooks: URLs that start a build of one branch."""

import msgspec

from builds_async.models.deploy_hooks import DeployHook, DeployHookBuild
from builds_async.models.envelope import Envelope
from builds_async.session.decode import receipts
from builds_async.session.encode import body
from builds_async.session.ids import identifier, segment
from builds_async.session.redact import Secret
from builds_async.session.session import ApiSession

MAX_NAME = 58
"""The maximum length of the name of a deploy hook, in characters."""

_HOOK = msgspec.json.Decoder(Envelope[DeployHook])
_HOOKS = msgspec.json.Decoder(Envelope[tuple[DeployHook, ...]])
_CHANGED = receipts(DeployHook)
_BUILD = msgspec.json.Decoder(Envelope[DeployHookBuild])


class DeployHooks:
    """The deploy hooks of Workers.

    https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/

    These methods take the **name** of a Worker, not its tag. Reading needs the permission "Workers CI Read",
    everything else "Workers CI Write" (the dashboard also says "Workers Builds: Edit"); `trigger` needs none.

    Anyone who has a `deploy_hook_uuid` can start builds, so it is redacted in errors, logs and reprs.

    Every method raises a `BuildsError` if the call fails, and a ValueError, before anything is sent, for an
    argument that the API can't accept. A call that changes something is repeated only if it can't have taken
    effect.
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session
        self._root = session.at_root()  # a hook is triggered outside of any account

    async def list(self, script_name: str) -> tuple[DeployHook, ...]:
        """All deploy hooks of a Worker, each with its latest build. The list has no pages.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/methods/list/
        """
        path = _path(script_name)
        return await self._session.get(path, _HOOKS, nullable=True, confidential=True) or ()

    async def create(self, script_name: str, *, deploy_hook_name: str, branch: str) -> DeployHook:
        """Create a hook that starts builds of a branch.

        `deploy_hook_name` has 1 to 58 characters. ConflictError if the Worker has a hook of that name.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/methods/create/
        """
        data = _hook_body(deploy_hook_name, branch)
        return await self._session.post(_path(script_name), _HOOK, data, confidential=True)

    async def get(self, script_name: str, deploy_hook_uuid: str) -> DeployHook:
        """One deploy hook. NotFoundError if the Worker has no such hook.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/methods/get/
        """
        deploy_hook_uuid = Secret(deploy_hook_uuid)  # so that no traceback shows the local variable
        path, secrets = _hook(script_name, deploy_hook_uuid)
        return await self._session.get(path, _HOOK, secrets=secrets)

    async def update(
        self, script_name: str, deploy_hook_uuid: str, *, deploy_hook_name: str, branch: str
    ) -> DeployHook:
        """Replace the name and the branch of a hook; its UUID stays.

        Replacing twice is harmless, so the call is retried like a read. If the API returns no hook, the
        result has only the values that were passed. ConflictError if another hook of the Worker has that
        name.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/methods/update/
        """
        deploy_hook_uuid = Secret(deploy_hook_uuid)
        data = _hook_body(deploy_hook_name, branch)
        path, secrets = _hook(script_name, deploy_hook_uuid)
        hook = await self._session.put(path, _CHANGED, data, secrets=secrets)
        return hook or DeployHook(
            deploy_hook_uuid=str(deploy_hook_uuid), deploy_hook_name=deploy_hook_name, branch=branch
        )

    async def delete(self, script_name: str, deploy_hook_uuid: str) -> DeployHook | None:
        """Delete a hook, so that its UUID starts no more builds.

        Returns the deleted hook, or None if the API does not return it.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/methods/delete/
        """
        deploy_hook_uuid = Secret(deploy_hook_uuid)
        path, secrets = _hook(script_name, deploy_hook_uuid)
        hook = await self._session.delete(path, _CHANGED, secrets=secrets)
        return hook or None

    async def trigger(self, deploy_hook_uuid: str) -> DeployHookBuild:
        """Start a build of the hook's branch, or return the one that is pending: see `already_exists`.

        The UUID is the secret, so no token is sent. The request is repeated only if it can't have taken
        effect. If its response is lost (a `BuildsConnectionError` with `sent`, a 5xx), you may trigger the
        hook again while the build is pending, because the API then starts no second one. Once the build runs,
        another request starts a second build.

        NotFoundError for an unknown hook. RateLimitError above 10 builds a minute for one Worker, or 100 for
        the account.

        Needs no permission.
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/deploy_hooks/methods/trigger/
        """
        deploy_hook_uuid = Secret(deploy_hook_uuid)
        part = _segment(deploy_hook_uuid)
        path = Secret(f"/workers/builds/deploy_hooks/{part}")
        return await self._root.post(path, _BUILD, secrets=(deploy_hook_uuid, part), anonymous=True)


def _path(script_name: str) -> str:
    return f"/builds/workers/{segment(script_name)}/deploy_hooks"


def _hook(script_name: str, deploy_hook_uuid: Secret) -> tuple[Secret, tuple[Secret, ...]]:
    """The path of a hook, and its secrets: the UUID, and its percent-encoded form in the path."""
    part = _segment(deploy_hook_uuid)
    return Secret(f"{_path(script_name)}/{part}"), (deploy_hook_uuid, part)


def _segment(deploy_hook_uuid: str) -> Secret:
    """The UUID as a segment of a path. ValueError, which does not show it, if it can't be an id."""
    try:
        return Secret(identifier(deploy_hook_uuid))
    except ValueError:
        raise ValueError(
            "deploy_hook_uuid can't be an id (it is a secret and not shown): pass the UUID alone, not the URL"
        ) from None


def _hook_body(deploy_hook_name: str, branch: str) -> bytes:
    if not 1 <= len(deploy_hook_name) <= MAX_NAME:
        length = len(deploy_hook_name)
        raise ValueError(f"deploy_hook_name must have 1 to {MAX_NAME} characters, not {length}")
    return body(deploy_hook_name=deploy_hook_name, branch=branch)
