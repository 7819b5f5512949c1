"""Connections to Git repositories, and the build configuration that the API detects in a repository."""

import msgspec

from builds_async.models.builds import RepoConnection
from builds_async.models.envelope import Envelope
from builds_async.models.repos import ConfigAutofill
from builds_async.session.decode import DONE
from builds_async.session.encode import body, query
from builds_async.session.ids import identifier, segment
from builds_async.session.session import ApiSession

_CONNECTION = msgspec.json.Decoder(Envelope[RepoConnection])
_AUTOFILL = msgspec.json.Decoder(Envelope[ConfigAutofill])


class Repos:
    """The connected Git repositories: https://developers.cloudflare.com/api/resources/workers_builds/subresources/repos/.

    Reading needs the permission "Workers CI Read", everything else "Workers CI Write"; the dashboard calls
    them "Workers Builds Configuration", Read and Edit.

    The owner of the repository must first install the Cloudflare App, in the dashboard. Without it, a call
    raises a NotFoundError with code 8000008, or 8000012 if the App has no access to the repository. The API's
    messages for these codes are misleading.

    Every method raises a `BuildsError` if the call fails, and a ValueError, before anything is sent, for an
    argument that the API can't accept.
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session

    async def upsert_connection(
        self,
        *,
        provider_type: str,
        provider_account_id: str,
        provider_account_name: str,
        repo_id: str,
        repo_name: str,
    ) -> RepoConnection:
        """Connect a repository, or return its connection if it is connected already.

        `provider_type` is a value of `ProviderType`. `provider_account_id` and `repo_id` are the Git host's
        numeric ids, as strings. The same call always returns the same connection, so it is retried like a
        read.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/repos/subresources/connections/methods/upsert/
        """
        data = body(
            provider_type=provider_type,
            provider_account_id=provider_account_id,
            provider_account_name=provider_account_name,
            repo_id=repo_id,
            repo_name=repo_name,
        )
        return await self._session.put("/builds/repos/connections", _CONNECTION, data)

    async def delete_connection(self, repo_connection_uuid: str) -> None:
        """Disconnect a repository. NotFoundError if there is no such connection.

        Needs "Workers CI Write".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/repos/subresources/connections/methods/delete/
        """
        await self._session.delete(f"/builds/repos/connections/{identifier(repo_connection_uuid)}", DONE)

    async def config_autofill(
        self,
        provider_type: str,
        provider_account_id: str,
        repo_id: str,
        *,
        branch: str,
        root_directory: str | None = None,
    ) -> ConfigAutofill:
        """The build configuration that the API suggests for a repository, from the files of a branch.

        `root_directory` is the directory to look in; the API's default is undocumented.

        Needs "Workers CI Read".
        https://developers.cloudflare.com/api/resources/workers_builds/subresources/repos/subresources/config_autofill/methods/get/
        """
        repo = "/".join(map(segment, (provider_type, provider_account_id, repo_id)))
        parameters = query(branch=branch, root_directory=root_directory)
        return await self._session.get(f"/builds/repos/{repo}/config_autofill", _AUTOFILL, parameters)
