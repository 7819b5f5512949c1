"""The questions about logs and cursors, and their answers. No I/O."""

import re
from base64 import b64decode, urlsafe_b64decode
from typing import Final
from urllib.parse import quote

import msgspec

from builds_async.models.scalars import SECONDS_END
from builds_async.probe.asking import Answer, NotAsked, Refused
from builds_async.probe.evidence import Evidence, LogPage, as_dict, as_list, word
from builds_async.probe.questions import Found, Question

_MICROSECONDS_FROM: Final = SECONDS_END * 1000
_ENDLESS: Final = 3
_LONG: Final = 500
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+=*").fullmatch


def _last_page_cursor(seen: Evidence) -> Found:
    if isinstance(page := _end(seen), NotAsked):
        return page
    if "cursor" not in page.body:
        return "absent"
    if page.cursor is None:
        return (
            "null"
            if page.sent is not None
            else NotAsked("the log has one page, whose cursor is null: that may be the cursor of the request")
        )
    if page.cursor != page.sent:
        return "tail"
    return "same" if page.lines else NotAsked("the last page is empty")


def _behind_the_end(seen: Evidence) -> Found:
    page = seen.behind
    if isinstance(end := _end(seen), NotAsked):
        return end
    if page is None or end.cursor == end.sent:
        return NotAsked("the last page has no cursor of its own")
    if not isinstance(page.reply, Answer):
        return str(page.reply) if isinstance(page.reply, Refused) else page.reply
    if not page.lines:
        return "nothing"
    full = [it for it in seen.log if it.lines]
    if full and page.lines == full[-1].lines:
        return "last_page"
    return "the first page" if full and page.lines == full[0].lines else "other lines"


def _truncated_hollow(seen: Evidence) -> Found:
    if not seen.log:
        return _no_log(seen)
    # The pages that say `truncated` although no lines follow: the last one with lines, and those after it.
    last = max((number for number, page in enumerate(seen.log) if page.lines), default=0)
    hollow = sum(page.is_truncated for page in seen.log[last:])
    if hollow >= _ENDLESS:
        return f"{_ENDLESS} or more"
    end = seen.log[-1]
    return str(hollow) if isinstance(end.reply, Answer) and not end.is_truncated else _unfinished(seen)


def _hollow_cursor(seen: Evidence) -> Found:
    hollow = [it for it in seen.log if not it.lines and it.is_truncated]
    if not hollow:
        return NotAsked("no truncated page was empty") if seen.log else _no_log(seen)
    return "moving" if all(it.cursor != it.sent for it in hollow) else "unchanged"


def _null_logs_result(seen: Evidence) -> Found:
    pages = [*seen.log, *([seen.behind] if seen.behind else []), *seen.running]
    empty = [it for it in pages if isinstance(it.reply, Answer) and not it.lines]
    if not empty:
        return NotAsked("no page was empty") if seen.log else _no_log(seen)
    return "null" if any(it.is_null for it in empty) else "a page"


def _timestamp_unit(seen: Evidence) -> Found:
    numbers = [line[0] for line in seen.all_lines() if isinstance(line[0], int | float)]
    if not numbers:
        return _no_lines(seen)
    if max(numbers) < SECONDS_END:
        return "seconds"
    return "milliseconds" if max(numbers) < _MICROSECONDS_FROM else "smaller than milliseconds"


def _timestamp_order(seen: Evidence) -> Found:
    numbers = [line[0] for page in seen.log for line in page.lines if isinstance(line, list) and line]
    known = [it for it in numbers if isinstance(it, int | float)]
    if not known:
        return _no_lines(seen)
    return "never back" if known == sorted(known) else "back in time"


def _ansi_codes(seen: Evidence) -> Found:
    texts = [line[1] for line in seen.all_lines() if isinstance(line[1], str)]
    if any("\x1b" in text for text in texts):
        return "kept"
    return NotAsked("no line had colors") if texts else _no_lines(seen)


def _page_size(seen: Evidence) -> Found:
    sizes = [len(page.lines) for page in (*seen.log, *seen.running)]
    full = [len(page.lines) for page in (*seen.log, *seen.running) if page.is_truncated and page.lines]
    if full:
        return f"{max(full)} lines"
    return f"at least {max(sizes)} lines" if any(sizes) else _no_lines(seen)


def _cursor_characters(seen: Evidence) -> Found:
    cursors = _cursors(seen)
    if not cursors:
        return NotAsked("no page had a cursor") if seen.log else _no_log(seen)
    return "plain" if all(quote(it, safe="=") == it for it in cursors) else "some need percent-encoding"


def _cursor_form(seen: Evidence) -> Found:
    cursors = _cursors(seen)
    if not cursors:
        return NotAsked("no page had a cursor") if seen.log else _no_log(seen)
    return ", ".join(sorted({_form(it) for it in cursors}))


def _cursor_kind(seen: Evidence) -> Found:
    cursors = _cursors(seen)
    if not cursors:
        return NotAsked("no page had a cursor") if seen.log else _no_log(seen)
    # Behind the last page the place in the log stays the same, so another text is another cursor for it.
    behind = seen.behind
    moved = behind and not behind.lines and behind.cursor not in {None, seen.log[-1].cursor}
    if moved or (seen.log and seen.again and seen.again.cursor not in {None, seen.log[0].cursor}):
        return "new"
    if max(map(len, cursors)) >= _LONG:
        return "long"
    if not all(map(_BASE64, cursors)):
        return "raw"
    if any(re.search("[+/]", it) for it in cursors):
        return "quoted"
    forms = {_form(it).partition(" of ")[0] for it in cursors}
    return (
        {"a JSON list": "array", "a JSON object": "object"}.get(forms.pop(), "other")
        if len(forms) == 1
        else "other"
    )


def _form(cursor: str) -> str:
    """The form of a cursor without its numbers."""
    try:
        text = (urlsafe_b64decode if re.search("[-_]", cursor) else b64decode)(
            cursor + "=" * (-len(cursor) % 4)
        )
        value = msgspec.json.decode(text)
    except (ValueError, msgspec.DecodeError):
        return "opaque"
    if isinstance(value, list):
        return f"a JSON list of {len(value)} in base64"
    if isinstance(value, dict):
        return f"a JSON object of {', '.join(sorted(map(word, value)))} in base64"
    return "opaque"


def _log_events(seen: Evidence) -> Found:
    if not seen.log:
        return _no_log(seen)
    types = {word(as_dict(it).get("type")) for page in seen.log for it in as_list(page.body.get("events"))}
    return ", ".join(sorted(types)) or "none"


def _repeated_start(seen: Evidence) -> Found:
    lines = seen.log[0].lines if seen.log else []
    if len(lines) < 2:
        return _no_lines(seen)
    return "yes" if lines[0] == lines[1] else "no"


def _queued_logs(seen: Evidence) -> Found:
    reply = seen.reply("queued_log")
    if isinstance(reply, Refused):
        return "not_found" if reply.status == 404 else str(reply)
    if isinstance(reply, NotAsked):
        return reply
    if as_list(as_dict(reply.result).get("lines")):
        return NotAsked("the build that was queued has begun in the meantime")
    return "empty"


def _running_cursor(seen: Evidence) -> Found:
    if not seen.running:
        return _why_no_running(seen)
    if len(seen.running) < 2:
        first = seen.running[0]
        return "no cursor" if isinstance(first.reply, Answer) else _failed(first)
    first, second = seen.running[:2]
    if not isinstance(second.reply, Answer):
        return _failed(second)
    if first.lines and second.lines[: len(first.lines)] == first.lines:
        return "the same lines again"
    return "newer lines only" if second.lines else "no lines"


def _running_whole(seen: Evidence) -> Found:
    if len(seen.running) < 3:
        return (
            NotAsked("the log of the running build has no cursor") if seen.running else _why_no_running(seen)
        )
    first, third = seen.running[0], seen.running[2]
    if not isinstance(third.reply, Answer):
        return _failed(third)
    return "from the start" if third.lines[: len(first.lines)] == first.lines else "other lines"


def _failed(page: LogPage) -> Found:
    return page.reply if isinstance(page.reply, NotAsked) else str(page.reply)


def _why_no_running(seen: Evidence) -> NotAsked:
    reply = seen.reply("running")
    return reply if isinstance(reply, NotAsked) else NotAsked("no build is running now")


def _cursors(seen: Evidence) -> list[str]:
    return [it.cursor for it in (*seen.log, *seen.running) if it.cursor is not None]


def _end(seen: Evidence) -> LogPage | NotAsked:
    """The last page of the finished log, if the end was reached."""
    if not seen.log:
        return _no_log(seen)
    last = seen.log[-1]
    if not isinstance(last.reply, Answer):
        return (
            last.reply
            if isinstance(last.reply, NotAsked)
            else NotAsked(f"the API refused a page: {last.reply}")
        )
    return last if not last.is_truncated and not last.is_null else _unfinished(seen)


def _unfinished(seen: Evidence) -> NotAsked:
    return NotAsked(f"the end of the log was not reached in {len(seen.log)} pages")


def _no_log(seen: Evidence) -> NotAsked:
    reply = seen.reply("log")
    return reply if isinstance(reply, NotAsked) else NotAsked("no finished build was found")


def _no_lines(seen: Evidence) -> NotAsked:
    return NotAsked("the log has no lines") if seen.log else _no_log(seen)


OF_LOGS = (
    Question(
        "last_page_cursor",
        "The last page has a cursor that leads to newer lines",
        _last_page_cursor,
        ("tail",),
    ),
    Question("behind_the_end", "Behind the last page there are no lines", _behind_the_end, ("nothing",)),
    Question(
        "truncated_hollow", "No page says `truncated` when no line follows it", _truncated_hollow, ("0",)
    ),
    Question(
        "hollow_cursor", "An empty page that says `truncated` has a new cursor", _hollow_cursor, ("moving",)
    ),
    Question(
        "null_logs_result", "Without lines the result is a page, not null", _null_logs_result, ("a page",)
    ),
    Question("queued_logs", "A queued build has an empty log", _queued_logs, ("empty",)),
    Question(
        "running_cursor",
        "While a build runs, a cursor leads to newer lines",
        _running_cursor,
        ("newer lines only", "no lines"),
    ),
    Question(
        "running_whole",
        "Without a cursor, the log is given from its start",
        _running_whole,
        ("from the start",),
    ),
    Question("timestamp_unit", "Timestamps are in milliseconds", _timestamp_unit, ("milliseconds",)),
    Question("timestamp_order", "Timestamps may go back", _timestamp_order),
    Question("ansi_codes", "Lines keep their colors", _ansi_codes, ("kept",)),
    Question("page_size", "How many lines a page has", _page_size),
    Question("cursor_characters", "Cursors may need percent-encoding", _cursor_characters),
    Question("cursors", "Which kind of text a cursor is, and whether it is the same each time", _cursor_kind),
    Question("cursor_form", "What a cursor looks like", _cursor_form),
    Question("log_events", "Which phases a log has", _log_events),
    Question("repeated_start", "Whether a log begins with the same line twice", _repeated_start),
)
