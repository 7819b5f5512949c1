"""The preview URLs of builds, where they are certain."""

import re

from builds_async.errors import NotFoundError
from builds_async.models.builds import Build
from builds_async.resources.account import Account
from builds_async.resources.builds import BuildReads
from builds_async.resources.served import ServedBuilds
from builds_async.resources.workers import Workers
from builds_async.session.ids import normalized_id
from builds_async.session.session import ApiSession

_LONGEST_LABEL = 63
"""The maximum length of a part of a host name, in characters."""

_HOST = r"[0-9a-f]{8}-[a-z0-9-]+\.[a-z0-9-]+\.workers\.dev"


class PreviewLinks:
    """Finds the preview URL of a build, or derives it from its version."""

    def __init__(self, session: ApiSession) -> None:
        self._builds = BuildReads(session)
        self._workers = Workers(session)
        self._account = Account(session)
        self._served = ServedBuilds(session)

    async def of_build(self, build: Build) -> str | None:
        """The preview URL of a build; None if it has none, or if it is not certain."""
        if build.preview_url or not build.succeeded:
            return build.preview_url
        if (whole := await self._builds.get(build.build_uuid)).preview_url:
            return whole.preview_url
        try:
            return await self._derived(whole)
        except NotFoundError:  # the account has no subdomain, or the Worker is gone
            return None

    async def _derived(self, build: Build) -> str | None:
        tag = normalized_id((build.trigger and build.trigger.external_script_id) or "")
        name = await self._served.name_of(tag)
        if name is None or not (await self._workers.subdomain(name)).previews_enabled:
            return None
        # The version ids in the log are not used: a build can write anything into its log.
        for version in (await self._served.uploads(name, build)).versions:
            if version.metadata is not None and version.metadata.has_preview:
                return _address(version.id, name, (await self._account.subdomain()).subdomain)
            break  # only the newest: an older version would show other code
        return None


def _address(version_id: str, script_name: str, subdomain: str | None) -> str | None:
    """The URL of a version; None if its parts don't make a valid host name."""
    label = f"{version_id[:8]}-{script_name}"
    host = f"{label}.{subdomain}.workers.dev"
    is_host = subdomain is not None and re.fullmatch(_HOST, host) is not None
    return f"https://{host}" if is_host and len(label) <= _LONGEST_LABEL else None
