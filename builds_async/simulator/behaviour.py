"""How a simulated service behaves where the real one is unknown or may vary. Values only."""

from enum import StrEnum
from typing import Literal

import msgspec


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """One switch for each open question about the real service; the defaults are the likeliest answers.

    A client that is right under every setting does not depend on the answers.
    """

    last_page_cursor: Literal["tail", "same", "null", "absent"] = "tail"
    """What cursor does the last page of a log carry? `tail`: one that gives only newer lines later. `same`:
    the one that was asked with, so that the page is read again (null on the first page). `null`, `absent`:
    none."""

    behind_the_end: Literal["nothing", "last_page"] = "nothing"
    """What does the cursor of a last page give while nothing is newer? No lines, or that page once more, each
    time that it is asked for. Goes with `last_page_cursor="tail"`."""

    logs_kept: float | None = None
    """For how many seconds after the end of a build is its log kept? After that it is 404, while the build is
    still found. None: for ever."""

    queued_logs: Literal["empty", "not_found"] = "empty"
    """What is the log of a build that has not begun? A page without lines, or 404 though the build exists."""

    truncated_hollow: int | Literal["endless"] = 0
    """Does a log end in pages that say `truncated` and have no lines? How many of them before the end."""

    hollow_cursor: Literal["moving", "unchanged"] = "moving"
    """Do those hollow pages carry a new cursor each? With `unchanged` they are endless: nothing counts."""

    null_logs_result: bool = False
    """Is `result` null when there are no lines to give, in place of a page with an empty list?"""

    late_lines: float = 0.0
    """Can lines appear after the build has stopped? Each line can be read only so many seconds after it was
    written, so those of the last moments come after the end."""

    late_outcome: float | Literal["never"] = 0.0
    """Is the outcome written later than the status `stopped`? Seconds between the two, or `never`."""

    unknown_ids: Literal["absent", "null"] = "absent"
    """How do the bulk look-ups answer for an id without a build? No key, or a key with null."""

    unknown_worker: Literal["empty", "not_found"] = "empty"
    """How are the lists of builds, triggers and Previews answered for a well-formed tag that no Worker has,
    and the list of deploy hooks for such a name? An empty list, or 404."""

    unknown_references: Literal[400, 404] = 404
    """What does a body answer that names a token, connection or Worker which does not exist?"""

    third_trigger: Literal[400, 409] = 400
    """What does a third trigger of a Worker answer?"""

    deleted_triggers: Literal["gone", "listed"] = "gone"
    """Does the list of a Worker's triggers still hold deleted ones, with their `deleted_on`?"""

    variables_answer: Literal["all", "changed"] = "all"
    """What does setting the variables of a trigger answer? All of them, or those that were sent."""

    started_source: Literal["manual", "api"] = "manual"
    """What is the `build_trigger_source` of a build that was started over the API?"""

    hook_source: Literal["deploy_hook", "manual", "api"] = "deploy_hook"
    """And of one that a deploy hook started?"""

    hook_answer: Literal["schema", "documents"] = "schema"
    """What does triggering a deploy hook answer? The build's UUID, date and status and whether it existed; or
    its UUID, branch and Worker, as the documents show it."""

    preview_builds: Literal["apart", "listed"] = "apart"
    """Are builds of a Preview listed for the Preview only, or for the Worker that it belongs to as well?"""

    undeployed_search: bool = False
    """Does the search find Workers that were never deployed? The listing does not have them."""

    account_owned_queues: bool = True
    """Do queues and event subscriptions take account-owned tokens? False: 401 with 12006."""

    subscription_scope: Literal["worker", "account"] = "worker"
    """Does `worker_name` narrow a subscription to that Worker's builds? Or do those of all come?"""

    cancel_finished: Literal["ok", 400, 404, 409] = "ok"
    """What does cancelling a finished build answer? Its end as it was, or that status."""

    environment_variables: Literal["objects", "strings", "null"] = "objects"
    """What are the values of `build_trigger_metadata.environment_variables`? `null`: the map itself is."""

    timestamp_unit: Literal["milliseconds", "seconds"] = "milliseconds"
    """What do the numbers of log lines count? Milliseconds were seen; the schema's example shows seconds."""

    status_words: dict[str, str] = {}
    """Does the service use undocumented words for statuses and outcomes? Its word by the known one."""

    ansi_codes: Literal["kept", "stripped"] = "kept"
    """Do raw log lines hold the terminal's escape sequences? Kept as written, or taken out."""

    rate_limit_headers: bool = True
    """Are `Ratelimit` and `Ratelimit-Policy` present on the answers of the builds endpoints?"""

    email_key_pair: bool = True
    """Do these endpoints accept the global key with an e-mail address? False: 401 with 12006."""

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(self):
            try:
                msgspec.convert(getattr(self, field.name), field.type)
            except msgspec.ValidationError as error:
                raise ValueError(f"{field.name}: {error}") from None


class TokenKind(StrEnum):
    """What a token of the simulated account is, and so what it may do."""

    FULL = "full"
    """User-owned, may read and write builds."""
    READ_ONLY = "read_only"
    """User-owned, may read: changing something is answered 403 with 10000."""
    NO_PERMISSION = "no_permission"
    """User-owned, without any permission for the account: 403 with 10000."""
    NO_SCRIPTS = "no_scripts"
    """User-owned, lacks Workers Scripts Read: 403 with 10000 for the lists of Workers."""
    NO_QUEUES = "no_queues"
    """User-owned, lacks Queues: 403 with 10000 for queues and event subscriptions."""
    ACCOUNT_OWNED = "account_owned"
    """Takes the lists of Workers; all of Workers Builds is refused: 401 with 12006."""


class RateLimit(msgspec.Struct, frozen=True):
    """At most `limit` requests in any `window` seconds; past it all are refused for `window` seconds."""

    limit: int = 1200
    window: float = 300.0

    def __post_init__(self) -> None:
        if self.limit < 1 or self.window <= 0:
            raise ValueError("a rate limit needs a positive limit and window")
