"""Log lines as they are printed: which of them, and how."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from builds_async import Build, LogLine
from builds_async.cli.colours import DIM, HIGHLIGHT, paint, source_colour
from builds_async.cli.out import Screen
from builds_async.cli.records import json_line
from builds_async.cli.rendered import rendered
from builds_async.cli.safe import coloured, plain, without_colours
from builds_async.cli.times import stamp

_LONGEST_SEARCHED = 10_000


class Source(NamedTuple):
    """Where a line comes from."""

    build_uuid: str
    external_script_id: str | None = None
    worker: str | None = None


def source_of(build: Build, worker: str | None = None) -> Source:
    """The source that a build is, with the name of its Worker where that is known."""
    tag = None if build.trigger is None else build.trigger.external_script_id
    return Source(build.build_uuid, tag, worker)


class Filter(NamedTuple):
    """Which lines are printed: late enough, with one of `include` if there are any, none of `exclude`."""

    since: datetime | None = None
    include: Sequence[re.Pattern[str]] = ()
    exclude: Sequence[re.Pattern[str]] = ()

    def passes(self, line: LogLine) -> bool:
        """Whether the line is one of them.

        Patterns are looked for in the text without its colors, and without a carriage return at its end: in
        its first 10,000 characters, which bounds what a pattern costs that takes quadratic time.
        """
        if self.since is not None and line.time < self.since:
            return False
        if not (self.include or self.exclude):
            return True
        text = without_colours(line.message[:_LONGEST_SEARCHED]).rstrip("\r")
        included = not self.include or any(pattern.search(text) for pattern in self.include)
        return included and not any(pattern.search(text) for pattern in self.exclude)


class LineFormat(NamedTuple):
    """How a line is written. `zone` is None without timestamps; `width` is None without a prefix.

    `text` is what a terminal would leave of the line (`rendered`), with the control characters that are left
    made visible: a message is never more than one line. `json` has the message as the API sent it. So has
    `raw`, byte for byte, but at a terminal, where its control characters are made visible as well.
    """

    screen: Screen
    output: str = "text"
    zone: tzinfo | None = None
    width: int | None = None
    highlight: Sequence[re.Pattern[str]] = ()

    @property
    def is_trusted(self) -> bool:
        """Whether what `form` gives is to go out as it is."""
        return self.output == "json" or (self.output == "raw" and not self.screen.is_tty)

    @property
    def form(self) -> Callable[[Source, LogLine], str]:
        """What is written of a line, without its end."""
        return {"json": self._json, "raw": self._raw}.get(self.output, self._text)

    def _json(self, source: Source, line: LogLine) -> str:
        record = {
            **source._asdict(),
            "timestamp": line.timestamp,
            "time": line.time,
            "message": line.message,
        }
        return json_line(record)

    def _raw(self, _source: Source, line: LogLine) -> str:
        return self._message(line.message) if self.screen.is_tty else line.message

    def _text(self, source: Source, line: LogLine) -> str:
        parts = []
        if self.width is not None:
            parts.append(self._prefix(source, self.width))
        if self.zone is not None:
            text = stamp(line.time, self.zone)
            parts.append(paint(text, DIM) if self.screen.colour else text)
        return " ".join((*parts, self._message(rendered(line.message))))

    def _prefix(self, source: Source, width: int) -> str:
        name = source.worker or source.external_script_id or ""
        text = f"{plain(name):{width}} {plain(source.build_uuid[:8])}"
        return paint(text, source_colour(name)) if self.screen.colour else text

    def _message(self, message: str) -> str:
        if self.highlight and self.screen.colour:
            return self._highlighted(message)
        return self._shown(message)

    def _highlighted(self, message: str) -> str:
        """The message with its matches set off; its own colours make way where there is one."""
        text = without_colours(message)
        pieces, end = [], 0
        for first, last in _spans(self.highlight, text):
            pieces += [self._shown(text[end:first]), paint(self._shown(text[first:last]), HIGHLIGHT)]
            end = last
        return "".join((*pieces, self._shown(text[end:]))) if pieces else self._shown(message)

    def _shown(self, text: str) -> str:
        return coloured(text) if self.screen.colour or not self.screen.is_tty else plain(text)


def _spans(patterns: Sequence[re.Pattern[str]], text: str) -> Iterator[tuple[int, int]]:
    """Where any of the patterns matches something, in order and without overlaps."""
    end = 0
    for first, last in sorted(found.span() for pattern in patterns for found in pattern.finditer(text)):
        if last > max(first, end):
            yield max(first, end), last
            end = last
