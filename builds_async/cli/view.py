"""The options for log lines, made into what filters and writes them."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from builds_async import LogLine
from builds_async.cli.exits import CommandError
from builds_async.cli.lines import Filter, LineFormat, Source
from builds_async.cli.options import LineOptions
from builds_async.cli.out import Screen
from builds_async.cli.running import stopped_at_once
from builds_async.cli.safe import plain
from builds_async.cli.times import parse_since

_WIDEST_NAME = 30


class View(NamedTuple):
    """Prints those lines that are asked for."""

    filter: Filter
    format: LineFormat

    def write(
        self, lines: Iterable[tuple[Source, LogLine]], wrote: Callable[[int], None] = lambda _count: None
    ) -> None:
        """Write those lines that pass. `wrote` is for `Screen.write_records`; it counts all lines."""
        passes, form = self.filter.passes, self.format.form
        # A pattern of the user's may take for ever on a line of somebody else's: Ctrl-C ends that at once.
        with stopped_at_once() if self._has_patterns else nullcontext():
            texts = [f"{form(source, line)}\n" if passes(line) else "" for source, line in lines]
        self.format.screen.write_records(texts, wrote, trusted=self.format.is_trusted)

    @property
    def _has_patterns(self) -> bool:
        return bool(self.filter.include or self.filter.exclude or self.format.highlight)


def view_of(options: LineOptions, screen: Screen, names: Iterable[str] | None = None) -> View:
    """What the options say, or CommandError; with `names`, each line begins with that of its Worker."""
    zone = zone_of(options.timezone)
    try:
        since = None if options.since is None else parse_since(options.since, datetime.now(UTC), zone)
    except ValueError as error:
        raise CommandError(f"--since: {error}") from None
    return View(
        Filter(since, compiled("--include", options.include), compiled("--exclude", options.exclude)),
        LineFormat(
            screen,
            options.output,
            zone if options.timestamps else None,
            None
            if names is None
            else min(_WIDEST_NAME, max((len(plain(name)) for name in names), default=0)),
            compiled("--highlight", options.highlight),
        ),
    )


def zone_of(name: str) -> tzinfo:
    """The time zone of that IANA name; CommandError if there is none, or no database of time zones."""
    try:
        return UTC if name.upper() in {"UTC", "Z"} else ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ValueError: a path; OSError: a directory; KeyError: none
        if not available_timezones():
            raise CommandError(
                f"--timezone: {name!r} can't be looked up: this machine has no database of time zones;"
                " install the package tzdata (pip install tzdata), or write UTC"
            ) from None
        raise CommandError(f"--timezone: {name!r} is no time zone: write UTC, Europe/Berlin, ...") from None


def compiled(option: str, patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    """The regular expressions; CommandError that names the option if one is none."""
    try:
        return tuple(re.compile(pattern) for pattern in patterns)
    except re.error as error:
        raise CommandError(f"{option}: {error.pattern!r} is no regular expression: {error}") from None
