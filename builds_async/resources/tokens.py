"""Build tokens: the API tokens that builds deploy with."""

from functools import partial

import msgspec

from builds_async.models.envelope import Envelope, Page
from builds_async.models.tokens import BuildToken, TokenStatus
from builds_async.resources.paging import Pages, check_page, get_page
from builds_async.session.api import ApiSession
from builds_async.session.wire import DONE, Secret, body, identifier, query

_TOKEN = msgspec.json.Decoder(Envelope[BuildToken])
_TOKENS = msgspec.json.Decoder(Envelope[tuple[BuildToken, ...]])
_STATUS = msgspec.json.Decoder(Envelope[TokenStatus])


class Tokens:
    """The build tokens of the user: https://developers.cloudflare.com/api/resources/workers_builds/subresources/tokens/.

    Reading needs the permission "Workers CI Read", all else "Workers CI Write"; the dashboard calls them
    "Workers Builds Configuration", Read and Edit.

    Every method raises a `BuildsError` when there is no good answer, and ValueError, before anything is
    sent, for what can't be.
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session
        self._root = session.at_root()

    async def list(self, *, page: int = 1, per_page: int = 50) -> Page[BuildToken]:
        """One page of the build tokens, without their secrets. `per_page` is 1 to 200.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/tokens/methods/list/
        """
        check_page(page, per_page)
        return await get_page(self._session, "/builds/tokens", _TOKENS, query(page=page, per_page=per_page))

    def iter(self, *, per_page: int = 50) -> Pages[BuildToken]:
        """All build tokens, page by page as they are asked for, each once.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/tokens/methods/list/
        """
        return Pages(
            partial(self.list, per_page=per_page), key=lambda token: token.build_token_uuid, per_page=per_page
        )

    async def create(
        self, *, build_token_name: str, build_token_secret: str, cloudflare_token_id: str
    ) -> BuildToken:
        """Register an API token that exists, for builds to deploy with.

        It mints nothing: `build_token_secret` is the token itself, which the API never gives back, and
        which no error tells; `cloudflare_token_id` is its id, `(await client.tokens.verify()).id` of a client
        that uses it. Builds then have the rights of that token, which must be owned by a user.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/tokens/methods/create/
        """
        build_token_secret = Secret(build_token_secret)
        data = body(
            build_token_name=build_token_name,
            build_token_secret=str(build_token_secret),
            cloudflare_token_id=cloudflare_token_id,
        )
        envelope = await self._session.envelope(
            "POST", "/builds/tokens", _TOKEN, body=data, nullable=False, secrets=(build_token_secret,)
        )
        return envelope.result

    async def delete(self, build_token_uuid: str) -> None:
        """Forget a build token; builds that use it will fail.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/tokens/methods/delete/
        """
        await self._session.envelope("DELETE", f"/builds/tokens/{identifier(build_token_uuid)}", DONE)

    async def verify(self) -> TokenStatus:
        """What the API token of this client is: its id and whether it is active.

        AuthenticationError for a token that is wrong, or not owned by a user.

        Needs no permission.
        https://developers.cloudflare.com/api/resources/user/subresources/tokens/methods/verify/
        """
        return (await self._root.envelope("GET", "/user/tokens/verify", _STATUS, nullable=False)).result
