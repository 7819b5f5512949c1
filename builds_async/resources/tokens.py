"""Build tokens: the API tokens that builds use to deploy."""

from functools import partial

import msgspec

from builds_async.models.envelope import Envelope, Page
from builds_async.models.tokens import BuildToken, TokenStatus
from builds_async.resources.paging import Pages, check_page, get_page
from builds_async.session.decode import DONE
from builds_async.session.encode import body, query
from builds_async.session.ids import identifier
from builds_async.session.redact import Secret
from builds_async.session.session import ApiSession

_TOKEN = msgspec.json.Decoder(Envelope[BuildToken])
_TOKENS = msgspec.json.Decoder(Envelope[tuple[BuildToken, ...]])
_STATUS = msgspec.json.Decoder(Envelope[TokenStatus])


class Tokens:
    """The build tokens of the user: https://developers.cloudflare.com/api/resources/workers_builds/subresources/tokens/.

    Reading needs the permission "Workers CI Read", everything else "Workers CI Write"; the dashboard calls
    them "Workers Builds Configuration", Read and Edit.

    Every method raises a `BuildsError` if the call fails, and a ValueError, before anything is sent, for an
    argument that the API can't accept. A call that changes something is repeated only if it can't have taken
    effect.
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session
        self._root = session.at_root()  # a token is verified outside of any account

    async def list(self, *, page: int = 1, per_page: int = 50) -> Page[BuildToken]:
        """One page of the build tokens, without their secrets.

        `page` counts from 1 (1), `per_page` is 1 to 200 (50).

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/tokens/methods/list/
        """
        check_page(page, per_page)
        return await get_page(self._session, "/builds/tokens", _TOKENS, query(page=page, per_page=per_page))

    def iter(self, *, per_page: int = 50) -> Pages[BuildToken]:
        """All build tokens, each once. Pages are fetched as the loop reaches them.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/tokens/methods/list/
        """
        return Pages(
            partial(self.list, per_page=per_page), key=lambda token: token.build_token_uuid, per_page=per_page
        )

    async def create(
        self, *, build_token_name: str, build_token_secret: str, cloudflare_token_id: str
    ) -> BuildToken:
        """Register an existing API token, so that builds can deploy with it. This creates no API token.

        `build_token_secret` is the token itself. The API never returns it, and errors redact it.
        `cloudflare_token_id` is the id of the token: `(await client.tokens.verify()).id`, with a client that
        has this token. The token must be owned by a user, and builds get its permissions.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/tokens/methods/create/
        """
        build_token_secret = Secret(build_token_secret)  # so that no traceback shows the local variable
        data = body(
            build_token_name=build_token_name,
            build_token_secret=str(build_token_secret),
            cloudflare_token_id=cloudflare_token_id,
        )
        return await self._session.post("/builds/tokens", _TOKEN, data, secrets=(build_token_secret,))

    async def delete(self, build_token_uuid: str) -> None:
        """Delete a build token. Builds that use it will fail. The API token behind it stays.

        To replace a build token without failed builds, first give the triggers another one with
        `client.triggers.update`. NotFoundError if there is no such build token.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/tokens/methods/delete/
        """
        await self._session.delete(f"/builds/tokens/{identifier(build_token_uuid)}", DONE)

    async def verify(self) -> TokenStatus:
        """The id of this client's API token, and whether it is active.

        AuthenticationError if the token is wrong or not owned by a user: `client.diagnose` says which.

        Needs no permission.
        https://developers.cloudflare.com/api/resources/user/subresources/tokens/methods/verify/
        """
        return await self._root.get("/user/tokens/verify", _STATUS)
