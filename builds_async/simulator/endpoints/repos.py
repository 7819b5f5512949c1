"""Repository connections, and what can be told of a repository."""

from typing import get_args

import msgspec

from builds_async.simulator.endpoints.calls import Call, Reply, known, read
from builds_async.simulator.endpoints.requests import NewConnection, Provider
from builds_async.simulator.records import Connection
from builds_async.simulator.refusals import BadQueryError, NotInstalledError, NotSelectedError, UnknownError
from builds_async.simulator.shapes import connection_body


def upsert_connection(call: Call) -> Reply:
    """PUT builds/repos/connections."""
    asked = read(call, NewConnection)
    check_repository(call, asked.provider_account_id, asked.repo_id)
    connection = call.state.registry.connect(**msgspec.structs.asdict(asked))
    return Reply(connection_body(call.state.calendar, connection))


def delete_connection(call: Call) -> Reply:
    """DELETE builds/repos/connections/{repo_connection_uuid}."""
    registry, uuid = call.state.registry, call.names["repo_connection_uuid"]
    registry.disconnect(known(registry.connections, uuid))
    return Reply(None)


def config_autofill(call: Call) -> Reply:
    """GET builds/repos/{provider_type}/{provider_account_id}/{repo_id}/config_autofill."""
    provider, account, repository = (
        call.names[name] for name in ("provider_type", "provider_account_id", "repo_id")
    )
    if provider not in get_args(Provider):
        raise UnknownError
    if not call.request.query.get("branch"):
        raise BadQueryError
    check_repository(call, account, repository)
    connection = call.state.registry.connection_of(provider, account, repository)
    return Reply(
        {
            "config_file": "wrangler.jsonc",
            "default_worker_name": _name(connection),
            "env_worker_names": {},
            "scripts": {"build": "tsc", "test": "vitest run"},
            "package_manager": "npm",
        }
    )


def check_repository(call: Call, account: str, repository: str) -> None:
    """Refuse what `BuildsSimulator.refuse_repository` names."""
    refused = call.state.registry.refused
    if (account, None) in refused:
        raise NotInstalledError
    if (account, repository) in refused:
        raise NotSelectedError


def _name(connection: Connection | None) -> str | None:
    return connection.repo_name if connection else None
