"""The responses to a probe so far, as raw JSON: models would hide what they do not expect. No I/O."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from builds_async.models.diagnosis import CredentialKind
from builds_async.probe.asking import INTERRUPTED, Answer, NotAsked, Reply

Json = dict[str, Any]

_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}").fullmatch
_UUID = re.compile(r"[0-9A-Za-z-]{1,64}").fullmatch
_ODD = "(an odd word)"


class LogPage(NamedTuple):
    """A page of a log: the cursor in the request, and the reply."""

    sent: str | None
    reply: Reply

    @property
    def body(self) -> Json:
        """The page; empty if there is none."""
        return as_dict(self.reply.result) if isinstance(self.reply, Answer) else {}

    @property
    def is_null(self) -> bool:
        """Whether the `result` is null."""
        return isinstance(self.reply, Answer) and self.reply.result is None

    @property
    def lines(self) -> list[Any]:
        """Its lines."""
        return as_list(self.body.get("lines"))

    @property
    def cursor(self) -> str | None:
        """The cursor of the next page."""
        cursor = self.body.get("cursor")
        return cursor if isinstance(cursor, str) and cursor else None

    @property
    def is_truncated(self) -> bool:
        """Whether the API says that more lines follow."""
        return self.body.get("truncated") is True


class Evidence:
    """The replies by name, and the builds and pages of logs in them."""

    def __init__(self, kind: CredentialKind) -> None:
        self.kind = kind
        """The kind of the credentials, judged by their form."""
        self.replies: dict[str, Reply] = {}
        self.builds: dict[str, Json] = {}
        """All builds that were seen, by UUID."""
        self.log: list[LogPage] = []
        """The pages of a finished log, in order."""
        self.behind: LogPage | None = None
        """The page after the last page of that log."""
        self.again: LogPage | None = None
        """The first page of that log, read again."""
        self.running: list[LogPage] = []
        """Three pages of a running log: without a cursor, with the cursor of that page, and without again."""
        self.missing: dict[str, NotAsked] = {}
        """Why a request was not sent, by the name of its reply."""

    def reply(self, name: str) -> Reply:
        """The reply with this name, or why there is none."""
        return self.replies.get(name) or self.missing.get(name) or INTERRUPTED

    def result(self, name: str) -> Any:  # noqa: ANN401  # JSON
        """The `result` of the reply with this name; None if the request did not succeed."""
        reply = self.reply(name)
        return reply.result if isinstance(reply, Answer) else None

    def add_builds(self, builds: object) -> None:
        """Add the builds of a list or a map."""
        values = builds.values() if isinstance(builds, dict) else as_list(builds)
        for build in values:
            uuid = as_dict(build).get("build_uuid")
            if isinstance(uuid, str) and _UUID(uuid):
                self.builds.setdefault(uuid, build)

    @property
    def now(self) -> datetime | None:
        """The server's date in its last response, or else the creation date of the newest build."""
        dates = [it.date for it in self.replies.values() if isinstance(it, Answer) and it.date]
        dates = dates or [date for build in self.builds.values() if (date := date_of(build, "created_on"))]
        return max(dates, default=None)

    def age(self, build: Json, field: str) -> float | None:
        """How many days ago the date in this field of a build was; None if it is unknown."""
        date, now = date_of(build, field), self.now
        return None if date is None or now is None else (now - date).total_seconds() / 86400

    def finished(self) -> list[Json]:
        """The builds that began and have stopped, newest first."""
        began = (it for it in self.builds.values() if has_begun(it) and it.get("stopped_on"))
        return sorted(began, key=lambda it: str(it.get("created_on")), reverse=True)

    def all_lines(self) -> Iterator[list[Any]]:
        """All log lines in the usual form."""
        for page in (*self.log, *self.running):
            yield from (line for line in page.lines if isinstance(line, list) and len(line) == 2)


def has_begun(build: Json) -> bool:
    """Whether a build has begun to initialize. A build that was canceled in the queue has not."""
    return bool(build.get("initializing_on") or build.get("running_on"))


def tag_of(build: object) -> str | None:
    """The tag of a build's Worker."""
    tag = as_dict(as_dict(build).get("trigger")).get("external_script_id")
    return tag if isinstance(tag, str) and tag else None


def metadata_of(build: Json) -> Json:
    """The snapshot of a build's settings."""
    return as_dict(build.get("build_trigger_metadata"))


def date_of(record: Json, field: str) -> datetime | None:
    """A date, in UTC if it has no zone; None if it can't be read."""
    try:
        date = datetime.fromisoformat(str(record.get(field)))
    except ValueError:
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def as_dict(value: object) -> Json:
    """The value, or an empty map in place of anything else."""
    return value if isinstance(value, dict) else {}


def ids_of(records: object, field: str) -> set[str]:
    """The ids in one field of the records of a list."""
    ids = (as_dict(record).get(field) for record in as_list(records))
    return {it for it in ids if isinstance(it, str)}


def as_list(value: object) -> list[Any]:
    """The value, or an empty list in place of anything else."""
    return value if isinstance(value, list) else []


def word(value: object) -> str:
    """A text of the API if it is a plain word, which may be published; else a placeholder."""
    return value if isinstance(value, str) and _WORD(value) else _ODD
