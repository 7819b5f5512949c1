"""Switches for unknown or varying behavior of the real service, and the kinds of API tokens."""

from enum import StrEnum
from typing import Literal, TypeAlias

import msgspec

CursorStyle: TypeAlias = Literal["array", "object", "quoted", "raw", "long", "new"]
"""The form of the text of a log's cursors; see `Behavior.cursors`."""


class Behavior(msgspec.Struct, frozen=True, kw_only=True):
    """One switch for each open question about the real service; the defaults are the likeliest behavior.

    A client that works under every setting depends on none of them.
    """

    cursors: CursorStyle = "array"
    """The text of a log's cursors. `array`: base64 of an array such as `[0,34]`, as seen live. `object`:
    base64 of an object with a line and a timestamp, as in the schema's example. `quoted`: base64 with `+` and
    `/`, which have to be quoted in a query. `raw`: no base64, but text with characters that end a query and
    some that are not ASCII. `long`: 2,000 characters. `new`: like `array`, but each response has another
    text, even for the same place."""

    last_page_cursor: Literal["tail", "same", "null", "absent"] = "tail"
    """The cursor on the last page of a log. `tail`: one that returns only newer lines. `same`: the cursor of
    the request, which returns the same page again (null on the first page). `null`: null. `absent`: no
    field."""

    behind_the_end: Literal["nothing", "last_page"] = "nothing"
    """The page after the last one, while there are no newer lines: a page without lines, or the last page
    again. Only with `last_page_cursor="tail"`."""

    logs_kept: float | None = None
    """How many seconds the log of a finished build is kept. After that the log is 404, while the build is
    still found. None: forever."""

    builds_kept: float | None = None
    """How many seconds a build is kept after it has stopped. After that no lookup or list returns it. The
    documentation says 90 days. None: forever."""

    queued_logs: Literal["empty", "not_found"] = "empty"
    """The log of a build that has not started: a page without lines, or 404 although the build exists."""

    truncated_hollow: int | Literal["endless"] = 0
    """How many *hollow* pages end a log: pages without lines that still say `truncated`."""

    hollow_cursor: Literal["moving", "unchanged"] = "moving"
    """Whether each hollow page has a new cursor. With `unchanged` they never end."""

    null_logs_result: bool = False
    """Whether `result` is null when there are no lines, instead of a page with an empty list."""

    late_lines: float = 0.0
    """Seconds until the API shows a line that was written. Above 0, the last lines appear only after the
    build has stopped."""

    late_outcome: float | Literal["never"] = 0.0
    """Seconds from the status `stopped` until the API shows the outcome, or `never`."""

    unknown_ids: Literal["absent", "null"] = "absent"
    """What the bulk lookups return for an id without a build: no key (`absent`), or a key with null."""

    unknown_worker: Literal["empty", "not_found"] = "empty"
    """The lists of builds, triggers and Previews of a well-formed tag that no Worker has, and the list of
    deploy hooks of a name that no Worker has: empty, or 404."""

    unknown_references: Literal[400, 404] = 404
    """The status for a body with the id of a token, connection or Worker that does not exist."""

    third_trigger: Literal[400, 409] = 400
    """The status for creating a third trigger for a Worker."""

    deleted_triggers: Literal["gone", "listed"] = "gone"
    """Whether the list of a Worker's triggers keeps deleted ones, with their `deleted_on`."""

    variables_answer: Literal["all", "changed"] = "all"
    """What setting the variables of a trigger returns: all variables, or those that were sent."""

    started_source: Literal["manual", "api"] = "manual"
    """The `build_trigger_source` of a build that was started over the API."""

    hook_source: Literal["deploy_hook", "manual", "api"] = "deploy_hook"
    """The `build_trigger_source` of a build that a deploy hook started."""

    hook_answer: Literal["schema", "documents"] = "schema"
    """What triggering a deploy hook returns. `schema`: the build's UUID, date and status, and whether it
    existed. `documents`: the build's UUID, branch and Worker, as the documentation shows."""

    preview_urls: bool = True
    """Whether the lookup of one build has the `preview_url` of a build that has uploaded a version."""

    preview_builds: Literal["apart", "listed"] = "apart"
    """Whether builds of a Preview are listed for the Preview only (`apart`), or for its Worker too."""

    unknown_script: Literal[10007, 10090] = 10007
    """The code of the 404 for an unknown Worker name, where deployments and versions are read. 10090 is the
    code for environments of old Workers."""

    late_deployments: float = 0.0
    """Seconds from a deployment until it is listed."""

    undeployed_search: bool = False
    """Whether the search finds Workers that were never deployed. The list of Workers lacks them."""

    account_owned_queues: bool = True
    """Whether queues and event subscriptions accept account-owned tokens. False: 401 with 12006."""

    subscription_scope: Literal["worker", "account"] = "worker"
    """Whether `worker_name` limits a subscription to that Worker's builds, or (`account`) has no effect."""

    cancel_finished: Literal["ok", 400, 404, 409] = "ok"
    """The response when a finished build is canceled. `ok`: its outcome and its end, unchanged. Otherwise: an
    error with that status."""

    environment_variables: Literal["objects", "strings", "null"] = "objects"
    """The values in `build_trigger_metadata.environment_variables`: objects or strings. `null`: null instead
    of the map."""

    timestamp_unit: Literal["milliseconds", "seconds"] = "milliseconds"
    """The unit of log timestamps. Milliseconds were seen live; the schema's example has seconds."""

    status_words: dict[str, str] = {}
    """Undocumented words that replace documented statuses and outcomes, by the documented word."""

    ansi_codes: Literal["kept", "stripped"] = "kept"
    """Whether terminal escape sequences in log lines are kept as written, or stripped."""

    rate_limit_headers: bool = True
    """Whether responses have the headers `Ratelimit` and `Ratelimit-Policy`."""

    email_key_pair: bool = True
    """Whether the endpoints accept the global key with an email address. False: 401 with 12006."""

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(self):
            try:
                msgspec.convert(getattr(self, field.name), field.type)
            except msgspec.ValidationError as error:
                raise ValueError(f"{field.name}: {error}") from None


Behaviour: TypeAlias = Behavior
"""The old spelling of `Behavior`."""


class TokenKind(StrEnum):
    """The kinds of API tokens of the simulated account, by owner and permissions."""

    FULL = "full"
    """User-owned, with every permission."""
    READ_ONLY = "read_only"
    """User-owned, without any permission to write: 403 with 10000 for a change."""
    NO_PERMISSION = "no_permission"
    """User-owned, without any permission for the account: 403 with 10000."""
    NO_SCRIPTS = "no_scripts"
    """User-owned, without "Workers Scripts Read": 403 with 10000 where Workers and deployments are read."""
    NO_QUEUES = "no_queues"
    """User-owned, without a permission for Queues: 403 with 10000 for queues and event subscriptions."""
    ACCOUNT_OWNED = "account_owned"
    """Account-owned: accepted for Workers and deployments, but 401 with 12006 by all of Workers Builds."""


class RateLimit(msgspec.Struct, frozen=True):
    """At most `limit` requests in any `window` seconds. Exceeding it blocks the user for `window` seconds."""

    limit: int = 1200
    """How many requests a window allows."""
    window: float = 300.0
    """The length of the window, in seconds."""

    def __post_init__(self) -> None:
        if self.limit < 1 or self.window <= 0:
            raise ValueError("a rate limit needs a positive limit and window")
