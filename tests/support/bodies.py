"""API responses as JSON, modeled on captured ones."""

from typing import Any

ACCOUNT = "0123456789abcdef0123456789abcdef"
TOKEN = "cfut_Zz9-the_token-that-must-not-be-seen"
BASE_URL = "https://api.cloudflare.com/client/v4"
BUILD_UUID = "3f2b8c1e-7d40-4c55-9a53-0d8f1b6a2e77"
TAG = "00000000000000000000000000000001"

Json = dict[str, Any]


def tags(count: int) -> list[str]:
    """`count` distinct Worker tags."""
    return [f"{number:032x}" for number in range(1, count + 1)]


def build(build_uuid: str = BUILD_UUID, /, **changes: Any) -> Json:
    """A successful build, with `changes`."""
    return {
        "build_uuid": build_uuid,
        "status": "stopped",
        "build_outcome": "success",
        "created_on": "2026-08-13T02:33:54.080Z",
        "modified_on": "2026-08-13T02:34:40.511Z",
        "initializing_on": "2026-08-13T02:33:55.100Z",
        "running_on": "2026-08-13T02:33:58.207Z",
        "stopped_on": "2026-08-13T02:34:40.500Z",
        "preview_url": None,
        "pull_request": None,
        "deploy_hook": None,
        "trigger": {
            "trigger_uuid": "9c7f2e52-0e58-4a0c-8a0e-0a5a1b0f6d11",
            "external_script_id": TAG,
            "trigger_name": "Deploy default branch",
            "build_command": "npm run build",
            "deploy_command": "npx wrangler deploy",
            "root_directory": "/",
            "branch_includes": ["main"],
            "branch_excludes": [],
            "path_includes": ["*"],
            "path_excludes": [],
            "build_caching_enabled": True,
            "repo_connection": {
                "repo_connection_uuid": "1d1e9a3c-67a3-4b5e-8f0e-0c2d9a1d7b22",
                "repo_id": "812345678",
                "repo_name": "shop",
                "provider_type": "github",
                "provider_account_id": "4242",
                "provider_account_name": "acme",
                "created_on": "2026-08-01T10:00:00.000Z",
                "modified_on": "2026-08-01T10:00:00.000Z",
                "deleted_on": None,
            },
            "created_on": "2026-08-01T10:00:01.000Z",
            "modified_on": "2026-08-01T10:00:01.000Z",
            "deleted_on": None,
        },
        "build_trigger_metadata": {
            "build_trigger_source": "push_event",
            "branch": "main",
            "commit_hash": "5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d",
            "commit_message": "Fix the cart",
            "author": "ada",
            "build_command": "npm run build",
            "deploy_command": "npx wrangler deploy",
            "root_directory": "/",
            "build_token_uuid": "6ad1b9c0-24d8-4c1a-9a86-2d1d9b1c0e33",
            "build_token_name": "Workers Builds",
            "environment_variables": {},
            "repo_name": "shop",
            "provider_account_name": "acme",
            "provider_type": "github",
        },
        **changes,
    }


def log_page(*messages: str, cursor: str | None = None, truncated: bool = False, **more: Any) -> Json:
    """A page of a log, with one line per millisecond."""
    lines = [[1784052295481 + number, message] for number, message in enumerate(messages)]
    return {"lines": lines, "cursor": cursor, "truncated": truncated, **more}


def result_info(*, page: int, per_page: int, total_count: int, **changes: Any) -> Json:
    """The `result_info` of a page in a list of `total_count` items."""
    pages = -(-total_count // per_page)
    return {
        "page": page,
        "per_page": per_page,
        "count": max(0, min(per_page, total_count - (page - 1) * per_page)),
        "total_count": total_count,
        "total_pages": pages,
        "next_page": page < pages,
        **changes,
    }


def envelope(result: Any, **more: Any) -> Json:
    """A successful response."""
    return {"success": True, "errors": [], "messages": [], "result": result, **more}


def refusal(code: int | None = None, message: str = "", *more: tuple[int, str]) -> Json:
    """A refusal with the first error and `more` of them; without arguments it has none."""
    errors: list[Json] = [] if code is None and not message else [{"code": code, "message": message}]
    errors += [{"code": code, "message": message} for code, message in more]
    return {"success": False, "errors": errors, "messages": [], "result": None}
