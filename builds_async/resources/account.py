"""The build minutes of the account, and its subdomain."""

import msgspec

from builds_async.models.account import AccountLimits
from builds_async.models.deployments import AccountSubdomain
from builds_async.models.envelope import Envelope
from builds_async.session.session import ApiSession

_LIMITS = msgspec.json.Decoder(Envelope[AccountLimits])
_SUBDOMAIN = msgspec.json.Decoder(Envelope[AccountSubdomain])


class Account:
    """The limits and the subdomain of the account.

    https://developers.cloudflare.com/api/resources/workers_builds/ and
    https://developers.cloudflare.com/api/resources/workers/subresources/subdomains/
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session

    async def limits(self) -> AccountLimits:
        """Whether build minutes are left, and when they are refilled. Both are None on paid plans.

        The API does not say how many minutes were used. A `BuildsError` if the call fails.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/methods/get_account_limits/
        """
        return await self._session.get("/builds/account/limits", _LIMITS, nullable=True) or AccountLimits()

    async def subdomain(self) -> AccountSubdomain:
        """The account's subdomain of workers.dev. NotFoundError if it has none yet.

        Needs "Workers Scripts Read".
        https://developers.cloudflare.com/api/resources/workers/subresources/subdomains/methods/get/
        """
        return await self._session.get("/workers/subdomain", _SUBDOMAIN)
