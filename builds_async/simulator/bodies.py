"""The bodies of answers: builds, envelopes, and the pages of things that are not the API."""

from typing import Any

import msgspec

from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.state import Repository, State

BEFORE_HEADERS = (
    "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
)


def envelope(result: object, result_info: dict[str, Any] | None = None) -> bytes:
    """The body of a successful answer."""
    body: dict[str, Any] = {"success": True, "errors": [], "messages": [], "result": result}
    if result_info is not None:
        body["result_info"] = result_info
    return msgspec.json.encode(body)


def error_envelope(code: int, message: str) -> bytes:
    """The body of a refusal."""
    errors = [{"code": code, "message": message}]
    return msgspec.json.encode({"success": False, "errors": errors, "messages": [], "result": None})


def build_body(state: State, build: SimulatedBuild, *, single: bool = False) -> dict[str, Any]:
    """A build as it is now; `single` adds what only the look-up by UUID tells."""
    stamp = state.calendar.stamp
    details = build.details
    repository = state.repositories[build.external_script_id]
    pull_request = details.pull_request_url and {
        "pull_request_url": details.pull_request_url,
        "created_on": stamp(build.created),
        "closed_on": None,
    }
    body = {
        "build_uuid": build.build_uuid,
        "status": _word(state, build.status),
        "build_outcome": _word(state, build.visible_outcome),
        "created_on": stamp(build.created),
        "modified_on": stamp(build.changed),
        "initializing_on": stamp(build.entered(BuildStatus.INITIALIZING)),
        "running_on": stamp(build.entered(BuildStatus.RUNNING)),
        "stopped_on": stopped_on(state, build),
        "pull_request": pull_request,
        "deploy_hook": details.deploy_hook_name and {"deploy_hook_name": details.deploy_hook_name},
        "trigger": _trigger(state, build, repository),
        "build_trigger_metadata": _metadata(state, build, repository),
    }
    if single and build.visible_outcome == BuildOutcome.SUCCESS:
        made_up = f"https://{build.version_id[:8]}-{repository.name}.simulated.workers.dev"
        body["preview_url"] = details.preview_url or made_up
    return body


def canceled_body(state: State, build: SimulatedBuild) -> dict[str, Any]:
    """What cancelling answers: the end of the build, without its status."""
    return {
        "build_uuid": build.build_uuid,
        "build_outcome": _word(state, build.outcome),
        "stopped_on": stopped_on(state, build),
    }


def stopped_on(state: State, build: SimulatedBuild) -> str | None:
    """When it stopped, None while it runs."""
    return state.calendar.stamp(
        build.entered(BuildStatus.STOPPED) if build.status == BuildStatus.STOPPED else None
    )


def html_page(title: str, text: str, size: int = 6500) -> bytes:
    """A page as an edge server shows it to people: some kilobytes of which little is said."""
    style = "<style>.box{margin:4em auto;max-width:60em;font-family:sans-serif}</style>\n"
    page = f"<!DOCTYPE html>\n<html>\n<head><title>{title}</title>\n"
    end = f'</head>\n<body><div class="box"><h1>{title}</h1><p>{text}</p></div></body>\n</html>\n'
    return (page + style * max(1, (size - len(page) - len(end)) // len(style)) + end).encode()


def nginx_page(title: str) -> bytes:
    """The short page of a bare proxy."""
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    ).encode()


def _word(state: State, word: str | None) -> str | None:
    return None if word is None else state.behaviour.status_words.get(word, str(word))


def _trigger(state: State, build: SimulatedBuild, repository: Repository) -> dict[str, Any]:
    made = state.calendar.stamp(repository.created)
    return {
        "trigger_uuid": repository.trigger_uuid,
        "external_script_id": repository.tag,
        "trigger_name": "Deploy default branch",
        "build_command": build.details.build_command,
        "deploy_command": build.details.deploy_command,
        "root_directory": "/",
        "branch_includes": ["main"],
        "branch_excludes": [],
        "path_includes": ["*"],
        "path_excludes": [],
        "build_caching_enabled": True,
        "created_on": made,
        "modified_on": made,
        "deleted_on": None,
        "repo_connection": {
            "repo_connection_uuid": repository.connection_uuid,
            "repo_id": "100200300",
            "repo_name": repository.name,
            "provider_type": "github",
            "provider_account_id": "4005006",
            "provider_account_name": "octocat",
            "grant_id": None,
            "created_on": made,
            "modified_on": made,
            "deleted_on": None,
        },
    }


def _metadata(state: State, build: SimulatedBuild, repository: Repository) -> dict[str, Any]:
    details = build.details
    return {
        "build_trigger_source": details.source,
        "branch": details.branch,
        "commit_hash": details.commit_hash,
        "commit_message": details.commit_message,
        "author": details.author,
        "build_command": details.build_command,
        "deploy_command": details.deploy_command,
        "root_directory": "/",
        "build_token_uuid": repository.token_uuid,
        "build_token_name": "Workers Builds",
        "environment_variables": _variables(state, build, repository),
        "repo_name": repository.name,
        "provider_account_name": "octocat",
        "provider_type": "github",
    }


def _variables(state: State, build: SimulatedBuild, repository: Repository) -> dict[str, Any] | None:
    variables = build.details.environment_variables
    match state.behaviour.environment_variables:
        case "null":
            return None
        case "strings":
            return dict(variables)
        case "objects":
            made = state.calendar.stamp(repository.created)
            return {
                name: {"is_secret": value is None, "created_on": made, "value": value}
                for name, value in variables.items()
            }
