"""The bodies of answers: builds, envelopes, and the pages of things that are not the API."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.shapes import trigger_body
from builds_async.simulator.state import State

BEFORE_HEADERS = (
    "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
)

_CHUNK = 64 * 1024


def envelope(
    result: object, result_info: dict[str, Any] | None = None, messages: Sequence[object] = ()
) -> bytes:
    """The body of a successful answer."""
    body: dict[str, Any] = {"success": True, "errors": [], "messages": messages, "result": result}
    if result_info is not None:
        body["result_info"] = result_info
    return msgspec.json.encode(body)


def error_envelope(code: int, message: str) -> bytes:
    """The body of a refusal."""
    errors = [{"code": code, "message": message}]
    return msgspec.json.encode({"success": False, "errors": errors, "messages": [], "result": None})


def huge_json(size: int) -> Iterator[bytes]:
    """A success with a message of `size` bytes, in pieces."""
    yield b'{"success":true,"errors":[],"messages":["'
    for start in range(0, size, _CHUNK):
        yield b"x" * min(_CHUNK, size - start)
    yield b'"],"result":null}'


def build_body(state: State, build: SimulatedBuild, *, single: bool = False) -> dict[str, Any]:
    """A build as it is now; `single` adds what only the look-up by UUID tells."""
    stamp = state.calendar.stamp
    details = build.details
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
        "trigger": trigger_body(state.calendar, build.trigger, with_token=False),
        "build_trigger_metadata": _metadata(state, build),
    }
    if single and build.visible_outcome == BuildOutcome.SUCCESS:
        name = state.scripts[build.external_script_id].name
        made_up = f"https://{build.version_id[:8]}-{name}.simulated.workers.dev"
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


def _metadata(state: State, build: SimulatedBuild) -> dict[str, Any]:
    details, settings, repository = build.details, build.settings, build.trigger.connection
    return {
        "build_trigger_source": details.source,
        "branch": details.branch,
        "commit_hash": details.commit_hash,
        "commit_message": details.commit_message,
        "author": details.author,
        "build_command": details.build_command,
        "deploy_command": details.deploy_command,
        "root_directory": settings.root_directory,
        "build_token_uuid": settings.token.build_token_uuid,
        "build_token_name": settings.token.build_token_name,
        "environment_variables": _variables(state, build),
        "repo_name": repository.repo_name,
        "provider_account_name": repository.provider_account_name,
        "provider_type": repository.provider_type,
    }


def _variables(state: State, build: SimulatedBuild) -> dict[str, Any] | None:
    variables = build.details.environment_variables or {}
    match state.behaviour.environment_variables:
        case "null":
            return None
        case "strings":
            return dict(variables)
        case "objects":
            made = state.calendar.stamp(build.trigger.created)
            return {
                name: {"is_secret": value is None, "created_on": made, "value": value}
                for name, value in variables.items()
            }
