"""Switches for what is unknown about the real service or may vary, and what a token may do. Values only."""

from enum import StrEnum
from typing import Literal

import msgspec


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """One switch for each open question about the real service; the defaults are the likeliest answers.

    A client that is right under every setting does not depend on the answers.
    """

    last_page_cursor: Literal["tail", "same", "null", "absent"] = "tail"
    """What cursor does the last page of a log have? `tail`: one that leads to newer lines only. `same`: the
    cursor of the request, so that the page is read again (null on the first page). `null`, `absent`: none."""

    behind_the_end: Literal["nothing", "last_page"] = "nothing"
    """What does the cursor of a last page lead to while nothing is newer? No lines, or that same page, each
    time. Goes with `last_page_cursor="tail"`."""

    logs_kept: float | None = None
    """How many seconds after the end of a build is its log kept? Then the log is 404, and the build is still
    found. None: forever."""

    builds_kept: float | None = None
    """How many seconds after its end is a build found? Then it is unknown to every look-up and list. The
    documents say 90 days. None: forever."""

    queued_logs: Literal["empty", "not_found"] = "empty"
    """What is the log of a build that has not started? A page without lines, or 404 for an existing build."""

    truncated_hollow: int | Literal["endless"] = 0
    """How many pages that say `truncated` and have no lines stand at the end of a log?"""

    hollow_cursor: Literal["moving", "unchanged"] = "moving"
    """Does each of those empty pages have a new cursor? With `unchanged` they never end."""

    null_logs_result: bool = False
    """Is `result` null when there are no lines, instead of a page with an empty list?"""

    late_lines: float = 0.0
    """Can lines appear after the build has stopped? The seconds from when a line is written until it can be
    read, so the last lines come after the end."""

    late_outcome: float | Literal["never"] = 0.0
    """Is the outcome set later than the status `stopped`? Seconds between the two, or `never`."""

    unknown_ids: Literal["absent", "null"] = "absent"
    """What do the bulk lookups return for an id without a build? No key, or a key with null."""

    unknown_worker: Literal["empty", "not_found"] = "empty"
    """What are the lists of builds, triggers and Previews of a well-formed tag that no Worker has, and the
    list of deploy hooks of such a name? Empty, or 404."""

    unknown_references: Literal[400, 404] = 404
    """What status has a body that names a token, connection or Worker that does not exist?"""

    third_trigger: Literal[400, 409] = 400
    """What status has the creation of a Worker's third trigger?"""

    deleted_triggers: Literal["gone", "listed"] = "gone"
    """Does the list of a Worker's triggers still have deleted ones, with their `deleted_on`?"""

    variables_answer: Literal["all", "changed"] = "all"
    """What does setting the variables of a trigger return? All of them, or those that were sent."""

    started_source: Literal["manual", "api"] = "manual"
    """What is the `build_trigger_source` of a build that was started over the API?"""

    hook_source: Literal["deploy_hook", "manual", "api"] = "deploy_hook"
    """What is the `build_trigger_source` of a build that a deploy hook started?"""

    hook_answer: Literal["schema", "documents"] = "schema"
    """What does triggering a deploy hook return? `schema`: the build's UUID, date and status, and whether it
    existed. `documents`: its UUID, branch and Worker, as the documentation shows it."""

    preview_builds: Literal["apart", "listed"] = "apart"
    """Are builds of a Preview listed for the Preview only (`apart`), or for its Worker too?"""

    unknown_script: Literal[10007, 10090] = 10007
    """What code has the 404 for a Worker's name that does not exist, where deployments and versions are read?
    10090 is that of the environments of old Workers."""

    undeployed_search: bool = False
    """Does the search find Workers that were never deployed? The list of Workers does not have them."""

    account_owned_queues: bool = True
    """Do queues and event subscriptions accept account-owned tokens? False: 401 with 12006."""

    subscription_scope: Literal["worker", "account"] = "worker"
    """Does `worker_name` narrow a subscription to that Worker's builds? `account`: no, those of all come."""

    cancel_finished: Literal["ok", 400, 404, 409] = "ok"
    """What does canceling a finished build return? `ok`: the end that it had. Otherwise that status."""

    environment_variables: Literal["objects", "strings", "null"] = "objects"
    """What are the values of `build_trigger_metadata.environment_variables`? `null`: the map itself is."""

    timestamp_unit: Literal["milliseconds", "seconds"] = "milliseconds"
    """What is the unit of log timestamps? Milliseconds were seen; the schema's example has seconds."""

    status_words: dict[str, str] = {}
    """Does the service use undocumented words for statuses and outcomes? Its word by the documented one."""

    ansi_codes: Literal["kept", "stripped"] = "kept"
    """Do log lines have escape sequences of terminals? Kept as written, or stripped."""

    rate_limit_headers: bool = True
    """Do responses have the headers `Ratelimit` and `Ratelimit-Policy`?"""

    email_key_pair: bool = True
    """Do the endpoints accept the global key with an email address? False: 401 with 12006."""

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(self):
            try:
                msgspec.convert(getattr(self, field.name), field.type)
            except msgspec.ValidationError as error:
                raise ValueError(f"{field.name}: {error}") from None


class TokenKind(StrEnum):
    """What an API token of the simulated account may do."""

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
    """At most `limit` requests in any `window` seconds. The next one blocks the user for `window` seconds."""

    limit: int = 1200
    """Requests in a window."""
    window: float = 300.0
    """The length of the window, in seconds."""

    def __post_init__(self) -> None:
        if self.limit < 1 or self.window <= 0:
            raise ValueError("a rate limit needs a positive limit and window")
