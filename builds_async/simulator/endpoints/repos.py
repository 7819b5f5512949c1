"""Repository connections, and the detected configuration of a repository."""

from typing import Literal, TypeAlias, get_args

import msgspec

from builds_async.simulator.refusals import BadQueryError, NotInstalledError, NotSelectedError, UnknownError
from builds_async.simulator.routing import Call, Reply, endpoint

Provider: TypeAlias = Literal["github", "gitlab", "gitlab_internal", "origin"]


class NewConnection(msgspec.Struct, kw_only=True):
    """A repository to connect."""

    provider_type: Provider
    provider_account_id: str
    provider_account_name: str
    repo_id: str
    repo_name: str


@endpoint("upsertRepoConnection", "PUT", "/builds/repos/connections", "builds:write")
def upsert_connection(call: Call) -> Reply:
    """Connect a repository, or rename a connected one."""
    new = call.read(NewConnection)
    check_repository(call, new.provider_account_id, new.repo_id)
    return Reply(call.views.connection(call.account.connect(**msgspec.structs.asdict(new))))


@endpoint(
    "deleteRepoConnection", "DELETE", "/builds/repos/connections/{repo_connection_uuid}", "builds:write"
)
def delete_connection(call: Call) -> Reply:
    """Delete a connection; triggers still show it."""
    call.account.disconnect(call.find(call.account.connections, "repo_connection_uuid"))
    return Reply(None)


@endpoint(
    "getWorkerConfigAutofill",
    "GET",
    "/builds/repos/{provider_type}/{provider_account_id}/{repo_id}/config_autofill",
    "builds:read",
)
def config_autofill(call: Call) -> Reply:
    """The detected configuration of a repository."""
    provider, account, repository = (
        call.names[name] for name in ("provider_type", "provider_account_id", "repo_id")
    )
    if provider not in get_args(Provider):
        raise UnknownError
    if not call.request.query.get("branch"):
        raise BadQueryError
    check_repository(call, account, repository)
    connection = call.account.connection_of(provider, account, repository)
    return Reply(
        {
            "config_file": "wrangler.jsonc",
            "default_worker_name": connection.repo_name if connection else None,
            "env_worker_names": {},
            "scripts": {"build": "tsc", "test": "vitest run"},
            "package_manager": "npm",
        }
    )


def check_repository(call: Call, account: str, repository: str) -> None:
    """Refuse repositories that were passed to `BuildsSimulator.refuse_repository`."""
    refused = call.account.refused_repositories
    if (account, None) in refused:
        raise NotInstalledError
    if (account, repository) in refused:
        raise NotSelectedError
