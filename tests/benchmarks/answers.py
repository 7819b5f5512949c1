"""The server's prebuilt responses, in the shape of the API's."""

import uuid
from collections.abc import Iterable
from urllib.parse import quote

import msgspec

ACCOUNT = "2f6b1c0d9e8a47b5a3c4d5e6f7081920"
TOKEN = "benchmark-token"
BASE = f"/client/v4/accounts/{ACCOUNT}"

_HEAD = (
    "HTTP/1.1 200 OK\r\n"
    "Date: Thu, 13 Aug 2026 02:33:54 GMT\r\n"
    "Content-Type: application/json; charset=utf-8\r\n"
    "Content-Length: {length}\r\n"
    "Connection: keep-alive\r\n"
    "cf-ray: 9d0f6a3c2b1e4f58-FRA\r\n"
    "cf-cache-status: DYNAMIC\r\n"
    "Server: cloudflare\r\n"
    "Strict-Transport-Security: max-age=31536000\r\n"
    "Vary: Origin, Accept-Encoding\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "api-version: 2026-08-12\r\n"
    "cf-auditlog-id: 01989f6e-3c0f-7d2a-b1c4-5d6e7f809aab\r\n"
)
# Numbers in the real headers' shape that never hold a request back.
_RATELIMIT = 'Ratelimit: "default";r=1199;t=60\r\nRatelimit-Policy: "default";q=1200;w=60\r\n'


def response(result: object, *, ratelimit: bool = False) -> bytes:
    """A 200 with `result` in the API's envelope."""
    body = msgspec.json.encode({"success": True, "errors": [], "messages": [], "result": result})
    head = _HEAD.format(length=len(body)) + (_RATELIMIT if ratelimit else "")
    return head.encode() + b"\r\n" + body


def ids(count: int, kind: str) -> list[str]:
    """`count` UUIDs, the same in every run."""
    return [str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {number}")) for number in range(count)]


def build(build_uuid: str, *, running: bool = False) -> dict[str, object]:
    """A build with every field filled in, about 2 KB."""
    return {
        "build_uuid": build_uuid,
        "status": "running" if running else "stopped",
        "build_outcome": None if running else "success",
        "created_on": "2026-08-13T02:31:02.417Z",
        "modified_on": "2026-08-13T02:33:54.080Z",
        "initializing_on": "2026-08-13T02:31:04.932Z",
        "running_on": "2026-08-13T02:31:09.115Z",
        "stopped_on": None if running else "2026-08-13T02:33:54.080Z",
        "preview_url": "https://6a3c2b1e-storefront.example.workers.dev",
        "pull_request": {
            "pull_request_url": "https://github.com/example/storefront/pull/1284",
            "created_on": "2026-08-13T02:30:41.002Z",
            "closed_on": None,
        },
        "deploy_hook": {"deploy_hook_name": "nightly content refresh"},
        "trigger": {
            "trigger_uuid": "c1a5f6d2-0f5b-4e36-9a0e-0c6b8d2f7a31",
            "external_script_id": "e8f70fdbc8b1fb0b8ddb1af166186758",
            "trigger_name": "Deploy default branch",
            "build_command": "npm run build",
            "deploy_command": "npx wrangler deploy",
            "root_directory": "/",
            "branch_includes": ["main"],
            "branch_excludes": ["renovate/*"],
            "path_includes": ["*"],
            "path_excludes": ["docs/*", "*.md"],
            "build_caching_enabled": True,
            "created_on": "2026-01-25T18:00:10.112Z",
            "modified_on": "2026-05-02T09:12:44.871Z",
            "deleted_on": None,
            "repo_connection": {
                "repo_connection_uuid": "7f9a1e64-2b0d-4c8e-8d51-3e7a9b6c0f42",
                "repo_id": "718293041",
                "repo_name": "storefront",
                "provider_type": "github",
                "provider_account_id": "10482933",
                "provider_account_name": "example",
                "grant_id": None,
                "created_on": "2026-01-25T17:58:31.640Z",
                "modified_on": "2026-01-25T17:58:31.640Z",
                "deleted_on": None,
            },
        },
        "build_trigger_metadata": {
            "build_trigger_source": "push_event",
            "branch": "main",
            "commit_hash": "8f3b6c1d9e2a47058b4c6d7e8f90a1b2c3d4e5f6",
            "commit_message": "Cart: keep the coupon when the session is renewed (#1284)",
            "author": "jdoe",
            "build_command": "npm run build",
            "deploy_command": "npx wrangler deploy",
            "root_directory": "/",
            "build_token_uuid": "b2d4f6a8-1c3e-4a5b-9c7d-8e0f1a2b3c4d",
            "build_token_name": "Workers Builds - 2026-01-25",
            "environment_variables": {
                "NODE_VERSION": {"is_secret": False, "created_on": "2026-01-25T18:04:00.000Z", "value": "22"},
                "SENTRY_TOKEN": {"is_secret": True, "created_on": "2026-01-25T18:04:00.000Z", "value": None},
            },
            "repo_name": "storefront",
            "provider_account_name": "example",
            "provider_type": "github",
        },
    }


def log_lines(count: int, *, first: int = 0) -> list[tuple[int, str]]:
    """Distinct lines of 60 characters."""
    return [
        (1784052295481 + 7 * number, f"[vite] transformed module {number:07d} src/components/coupons.tsx")
        for number in range(first, first + count)
    ]


def log_pages(lines: int, per_page: int) -> Iterable[tuple[str | None, dict[str, object]]]:
    """A finished log as (request cursor, response) pairs, including the empty page at its end."""
    cursor: str | None = None
    for start in range(0, lines, per_page):
        behind = min(start + per_page, lines)
        yield (
            cursor,
            {
                "cursor": _cursor(behind),
                "truncated": behind < lines,
                "lines": log_lines(behind - start, first=start),
                "events": [],
            },
        )
        cursor = _cursor(behind)
    yield cursor, {"cursor": cursor, "truncated": False, "lines": [], "events": []}


def log_target(build_uuid: str, cursor: str | None) -> str:
    """The request target of one page of a log."""
    path = f"{BASE}/builds/builds/{build_uuid}/logs"
    return path if cursor is None else f"{path}?cursor={quote(cursor, safe='')}"


def _cursor(line: int) -> str:
    return f"WzAs{line:08d}XQ=="
