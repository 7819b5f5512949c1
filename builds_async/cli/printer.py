"""Formats and prints log lines as text or JSON, and other objects of the API as JSON.

`tables` formats them as tables.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import NamedTuple

import msgspec

from builds_async import Build, LogLine
from builds_async.cli.exits import CommandError
from builds_async.cli.facts import DIGITS, LINE_FIELDS
from builds_async.cli.hyperlinks import without_links
from builds_async.cli.options import LineOptions
from builds_async.cli.running import stopped_at_once
from builds_async.cli.template import Template, make_template
from builds_async.cli.terminal import Screen
from builds_async.cli.text import DIM, HIGHLIGHT, SourceColors, colored, paint, visible_text, without_colors
from builds_async.cli.times import find_zone, format_clock, format_time, parse_since
from builds_async.cli.wrap import hanging
from builds_async.models.render import render
from builds_async.models.text import json_escaped

_MAX_SEARCHED = 10_000
_MAX_NAME_WIDTH = 30


def print_record(screen: Screen, record: object) -> None:
    """Print an object as one line of JSON, with the API's own field names."""
    screen.write(f"{json_line(record)}\n", trusted=True)


def json_line(record: object) -> str:
    """The object as one line of JSON, with everything escaped that a terminal or a CI job would act on."""
    return json_escaped(msgspec.json.encode(record).decode())


class Source(NamedTuple):
    """The origin of a log line."""

    build_uuid: str
    external_script_id: str | None = None
    worker: str | None = None


def source_of(build: Build, worker: str | None = None) -> Source:
    """The build as a source of lines, with the name of its Worker if known."""
    tag = None if build.trigger is None else build.trigger.external_script_id
    return Source(build.build_uuid, tag, worker)


class LineFilter(NamedTuple):
    """Selects the lines to print."""

    since: datetime | None = None
    include: Sequence[re.Pattern[str]] = ()
    exclude: Sequence[re.Pattern[str]] = ()

    def passes(self, line: LogLine) -> bool:
        """Whether the line is recent enough, matches any of `include` (if not empty) and none of `exclude`.

        Patterns match the visible text, without colors and without a carriage return at the end, but only its
        first 10,000 characters: a pattern with quadratic time must not hang on one huge line.
        """
        if self.since is not None and line.time < self.since:
            return False
        if not (self.include or self.exclude):
            return True
        text = without_colors(line.message[:_MAX_SEARCHED]).rstrip("\r")
        included = not self.include or any(pattern.search(text) for pattern in self.include)
        return included and not any(pattern.search(text) for pattern in self.exclude)


@dataclass(frozen=True)
class LineFormat:
    """Formats a line. `times` is None without times; `width` is None without a prefix.

    - `text` is the message as a terminal would show it (see `render`), with the remaining control characters
      made visible, so that a message is always one line.
    - `json` has the message as the API sent it.
    - `raw` is the message byte for byte; on a terminal, its control characters are made visible.
    - `template` is the user's own form; the message is that of `text` without colors, the time is in `zone`.
    """

    screen: Screen
    output: str = "text"
    times: Callable[[datetime], str] | None = None
    width: int | None = None
    highlight: Sequence[re.Pattern[str]] = ()
    colors: SourceColors = field(default_factory=SourceColors)
    columns: int | None = None
    """The width of the terminal, for a hanging indent; None elsewhere."""
    page: Callable[[Source], str | None] = lambda _source: None
    """The address of the page of a source, to which the digits of the build in a prefix are a link."""
    template: Template | None = None
    zone: tzinfo | None = None

    @property
    def is_trusted(self) -> bool:
        """Whether the screen is to write the formatted line unchanged."""
        return self.output == "json" or (self.output == "raw" and not self.screen.is_tty)

    @property
    def format(self) -> Callable[[Source, LogLine], str]:
        """The function that formats a line, without a line break at its end."""
        if self.template is not None:
            return partial(self._by_template, self.template)
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

    def _by_template(self, template: Template, source: Source, line: LogLine) -> str:
        facts = {
            "build": source.build_uuid[:DIGITS],
            "build_uuid": source.build_uuid,
            "worker": source.worker or "",
            "external_script_id": source.external_script_id or "",
            "timestamp": str(line.timestamp),
            "time": format_time(line.time, self.zone),
            "message": render(line.message),
        }
        return template.line(facts)

    def _text(self, source: Source, line: LogLine) -> str:
        before = self.prefix(source, line.time)
        message = self._message(render(line.message))
        if before and self.columns is not None:
            # Only colors and links take no column, and names have neither.
            indent = len(without_colors(without_links(before)))
            message = hanging(message, indent, self.columns)
        return before + message

    def prefix(self, source: Source, time: datetime | None, screen: Screen | None = None) -> str:
        """The prefix of a message: the Worker and the build, and the time if there is one.

        The links are for `screen`, by default that of the lines.
        """
        text = ""
        if self.width is not None:
            name = source.worker or source.external_script_id or ""
            screen = screen or self.screen
            digits = visible_text(source.build_uuid[:DIGITS])
            build = screen.link(digits, self.page(source)) if screen.links else digits
            text = f"{self._paint(f'{visible_text(name):{self.width}} {build}', self.colors.of(name))} "
        if self.times is not None:
            text += f"{self._paint(self.times(time), DIM)} " if time is not None else ""
        return text

    def _paint(self, text: str, color: str) -> str:
        return paint(text, color) if self.screen.color else text

    def _message(self, message: str) -> str:
        if self.highlight and self.screen.color:
            return self._highlighted(message)
        return self._safe(message)

    def _highlighted(self, message: str) -> str:
        """The message with its matches highlighted. With matches, it loses its own colors."""
        text = without_colors(message)
        pieces, end = [], 0
        for first, last in _spans(self.highlight, text):
            pieces += [self._safe(text[end:first]), paint(self._safe(text[first:last]), HIGHLIGHT)]
            end = last
        return "".join((*pieces, self._safe(text[end:]))) if pieces else self._safe(message)

    def _safe(self, text: str) -> str:
        # Colors stay in a pipe: another program or the page of a CI job may show them.
        return colored(text) if self.screen.color or not self.screen.is_tty else visible_text(text)


def _spans(patterns: Sequence[re.Pattern[str]], text: str) -> Iterator[tuple[int, int]]:
    """The spans that any of the patterns matches, in order and without overlaps."""
    end = 0
    # In order of their start, so that only the end of the last span needs to be kept.
    for first, last in sorted(found.span() for pattern in patterns for found in pattern.finditer(text)):
        if last > max(first, end):
            yield max(first, end), last
            end = last


class LinePrinter(NamedTuple):
    """Prints the lines that pass a filter."""

    filter: LineFilter
    format: LineFormat

    def print(
        self, lines: Iterable[tuple[Source, LogLine]], wrote: Callable[[int], None] = lambda _count: None
    ) -> None:
        """Print the lines. `wrote` (see `Screen.write_records`) also counts lines that are filtered out."""
        # Asked each time, because a terminal can be resized.
        formatted = replace(self.format, columns=self.format.screen.columns).format
        passes = self.filter.passes
        # A pattern may backtrack forever on a line of a build: Ctrl-C must end it.
        with stopped_at_once() if self._has_patterns else nullcontext():
            texts = [f"{formatted(source, line)}\n" if passes(line) else "" for source, line in lines]
        self.format.screen.write_records(texts, wrote, trusted=self.format.is_trusted)

    @property
    def _has_patterns(self) -> bool:
        return bool(self.filter.include or self.filter.exclude or self.format.highlight)


def make_line_printer(
    options: LineOptions,
    screen: Screen,
    names: Iterable[str] | None = None,
    page: Callable[[Source], str | None] = lambda _source: None,
) -> LinePrinter:
    """Make the printer for these options; CommandError if one of them is invalid.

    With `names`, the names of the Workers, each line begins with the name of its Worker and the digits of its
    build, which are a link to what `page` gives.
    """
    zone = _zone(options, screen)
    try:
        since = None if options.since is None else parse_since(options.since, datetime.now(UTC), zone)
    except ValueError as error:
        raise CommandError(f"--since: {error}") from None
    return LinePrinter(
        LineFilter(
            since,
            compile_patterns("--include", options.include),
            compile_patterns("--exclude", options.exclude),
        ),
        LineFormat(
            screen,
            options.output,
            _times(options, screen, zone),
            None if names is None else _name_width(names),
            compile_patterns("--highlight", options.highlight),
            SourceColors(),
            page=page,
            template=make_template(options.output, options.template, LINE_FIELDS),
            zone=zone,
        ),
    )


def _zone(options: LineOptions, screen: Screen) -> tzinfo | None:
    """The time zone; None for the local one. The default is local on a terminal, else UTC."""
    if options.timezone is not None:
        return find_zone(options.timezone)
    return None if screen.is_tty else UTC


def _times(options: LineOptions, screen: Screen, zone: tzinfo | None) -> Callable[[datetime], str] | None:
    if options.timestamps or (options.timestamps is None and screen.is_tty):
        return partial(format_time if options.timestamps else format_clock, zone=zone)
    return None


def _name_width(names: Iterable[str]) -> int:
    return min(_MAX_NAME_WIDTH, max((len(visible_text(name)) for name in names), default=0))


def compile_patterns(option: str, patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    """The compiled regular expressions; CommandError that names the option if one is invalid."""
    try:
        return tuple(re.compile(pattern) for pattern in patterns)
    except re.error as error:
        raise CommandError(f"{option}: {error.pattern!r} is not a regular expression: {error}") from None
