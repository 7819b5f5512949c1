"""Switches for unknown or varying behavior of the real service, and the kinds of tokens. Values only."""

from enum import StrEnum
from typing import Literal, TypeAlias

import msgspec

CursorStyle: TypeAlias = Literal["array", "object", "quoted", "raw", "long", "new"]
"""A kind of text that the cursors of logs are."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """One switch for each open question about the real service; the defaults are the likeliest behavior.

    A client that works under every setting depends on none of them.
    """

    cursors: CursorStyle = "array"
    """The text of a log's cursors. `array`: base64 of `[0,34]`, as was seen live. `object`: base64 of an
    object with a line and a timestamp, as in the schema's example. `quoted`: base64 that has `+` and `/`,
    which a query must quote. `raw`: no base64, with characters that end a query, and others that are not
    ASCII. `long`: 2,000 characters. `new`: as `array`, but each response has another text, even for the
    same place."""

    last_page_cursor: Literal["tail", "same", "null", "absent"] = "tail"
    """The cursor on the last page of a log. `tail`: one that leads to newer lines only. `same`: the cursor
    of the request, which reads the page again (null on the first page). `null`, `absent`: none."""

    behind_the_end: Literal["nothing", "last_page"] = "nothing"
    """The page behind the last one while there are no newer lines: without lines, or the last page again.
    Applies with `last_page_cursor="tail"`."""

    logs_kept: float | None = None
    """How many seconds the log of a finished build is kept. After that the log is 404, though the build is
    still found. None: forever."""

    builds_kept: float | None = None
    """How many seconds after its end is a build found? Then it is unknown to every look-up and list. The
    documents say 90 days. None: forever."""

    queued_logs: Literal["empty", "not_found"] = "empty"
    """The log of a build that has not started: a page without lines, or 404 although the build exists."""

    truncated_hollow: int | Literal["endless"] = 0
    """How many pages without lines at the end of a log still say `truncated`."""

    hollow_cursor: Literal["moving", "unchanged"] = "moving"
    """Whether each of those empty pages has a new cursor. With `unchanged` they never end."""

    null_logs_result: bool = False
    """Whether `result` is null when there are no lines, instead of a page with an empty list."""

    late_lines: float = 0.0
    """Seconds from when a line is written until it can be read. Above 0 the last lines appear only after the
    build has stopped."""

    late_outcome: float | Literal["never"] = 0.0
    """Seconds from the status `stopped` until the outcome is set, or `never`."""

    unknown_ids: Literal["absent", "null"] = "absent"
    """What the bulk lookups return for an id without a build: no key, or a key with null."""

    unknown_worker: Literal["empty", "not_found"] = "empty"
    """The lists of builds, triggers and Previews for a well-formed tag that no Worker has, and the list of
    deploy hooks for such a name: empty, or 404."""

    unknown_references: Literal[400, 404] = 404
    """The status for a body that names a token, connection or Worker that does not exist."""

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
    """What code has the 404 for a Worker's name that does not exist, where deployments and versions are read?
    10090 is that of the environments of old Workers."""

    late_deployments: float = 0.0
    """Seconds from a deployment until it is listed."""

    undeployed_search: bool = False
    """Whether the search finds Workers that were never deployed. The list of Workers lacks them."""

    account_owned_queues: bool = True
    """Whether queues and event subscriptions accept account-owned tokens. False: 401 with 12006."""

    subscription_scope: Literal["worker", "account"] = "worker"
    """Whether `worker_name` limits a subscription to that Worker's builds, or (`account`) has no effect."""

    cancel_finished: Literal["ok", 400, 404, 409] = "ok"
    """What canceling a finished build returns. `ok`: the outcome and the end that it had. Otherwise: an
    error with that status."""

    environment_variables: Literal["objects", "strings", "null"] = "objects"
    """The values of `build_trigger_metadata.environment_variables`. `null`: the whole map is null."""

    timestamp_unit: Literal["milliseconds", "seconds"] = "milliseconds"
    """The unit of log timestamps. Milliseconds were seen live; the schema's example has seconds."""

    status_words: dict[str, str] = {}
    """Undocumented words for statuses and outcomes, by the documented word that each replaces."""

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


class TokenKind(StrEnum):
    """The kinds of API tokens of the simulated account, by owner and permissions."""

    FULL = "full"
    """User-owned, with every permission."""
    READ_ONLY = "read_only"
    """User-owned, without any permission to write: 403 with 10000 for a change."""
    NO_PERMISSION = "no_permission"
    """User-owned, without any permission for the account: 403 with 10000."""
    NO_SCRIPTS = "no_scripts"
    """User-owned, without Workers Scripts Read: 403 with 10000 for all that is read of Workers."""
    NO_QUEUES = "no_queues"
    """User-owned, without Queues: 403 with 10000 for queues and event subscriptions."""
    ACCOUNT_OWNED = "account_owned"
    """Account-owned: accepted for Workers and deployments, but 401 with 12006 for all of Workers Builds."""


class RateLimit(msgspec.Struct, frozen=True):
    """At most `limit` requests in any `window` seconds. One more blocks the user for `window` seconds."""

    limit: int = 1200
    """How many requests a window allows."""
    window: float = 300.0
    """The length of the window, in seconds."""

    def __post_init__(self) -> None:
        if self.limit < 1 or self.window <= 0:
            raise ValueError("a rate limit needs a positive limit and window")
