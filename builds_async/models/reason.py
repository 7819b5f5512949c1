"""Guesses from a log why a build failed, in one line. It is a guess because logs are free text."""

# Plain strings, which `re` compiles and caches on first use: few programs need them.
import re
from collections.abc import Iterable

import msgspec

from builds_async.models.text import SEQUENCES, plain

_LONGEST = 300
# The service's last line, which reports that a command failed, but not why.
_GENERAL = r"Failed: error occurred while \w+"
_FINAL = "Failed: "
# The last of the three lines in the log of a build with a dead token. Its parts are bounded, so that the
# advice after them still fits.
_DIED = r"(?i)(failed: .{0,60}\bbuild token\b.{0,80}?\b(?:deleted|rolled|revoked|expired)\b[^.]{0,60})"
_REPAIR = "To repair it, run `builds-async doctor --repair-build-token`"
_ERROR = r"""(?x)✘\s*\[ERROR\] | \[ERROR\] | ❌
    | \b(?:ERROR|Error|FATAL|fatal|error\[E\d+\]) \s* (?:\[[\w.-]+\]\s*)? :   # also TypeError: is one
    | \b\w+(?:Error|Exception): \s
    | \berror\s+TS\d+:
    | ^npm\s+(?:error|ERR!)\s
    | ^\s*error\b
    | ^(?:FAIL|FAILED)\s
    | :\s(?:command\snot\sfound|not\sfound|Permission\sdenied|No\ssuch\sfile\sor\sdirectory)\b
    """
# npm's lines around an error, which look like errors themselves: used only if nothing better is found.
_NPM_NOISE = (
    r"npm\s+(?:error|ERR!)\s*(?:$|code\s|errno\s|path\s|command\s|lifecycle\sscript|workspace\s|location\s|in\sworkspace|"
    r"at\s|signal\s|cwd\s|A\scomplete\slog|/|Lifecycle\s)"
)


class Reason(msgspec.Struct, frozen=True):
    """Why a build failed."""

    text: str
    """The reason: one line of at most 300 characters, safe to print anywhere."""

    at: int
    """The index of the line that gives it, 0 for the first one."""


def failure_reason(texts: Iterable[str]) -> str | None:
    """The reason that `find_reason` finds."""
    reason = find_reason(texts)
    return None if reason is None else reason.text


def find_reason(texts: Iterable[str]) -> Reason | None:
    """The line of a log that best explains why its build failed; None if the log is empty.

    In this order: a specific error of the service (a deleted build token, for example); the first line that
    reads like an error, joined with the next one if it ends in a colon; an npm error; the service's general
    error; the last line that is not empty. A line counts as a terminal would finally show it. At most 300
    characters, safe to print anywhere: without escape sequences, control characters or commands of CI jobs.
    Reads the log once and keeps only a few lines.
    """
    finder = ReasonFinder()
    finder.add(texts)
    return finder.reason


class ReasonFinder:
    """Finds the line of a log that best explains why its build failed, as `find_reason` does.

    It takes a log page by page and keeps only a few lines.
    """

    def __init__(self) -> None:
        self._count = 0
        self._found: Reason | None = None
        self._noise: Reason | None = None
        self._general: Reason | None = None
        self._last: Reason | None = None

    @property
    def reason(self) -> Reason | None:
        """The reason in the lines so far; None if they have no text."""
        reason = self._found or self._noise or self._general or self._last
        return None if reason is None else Reason(_brief(reason.text), reason.at)

    def add(self, texts: Iterable[str]) -> None:
        """Take the next lines of the log."""
        for raw in texts:
            if text := _shown(raw):
                self._take(Reason(text, self._count))
            self._count += 1

    def _take(self, line: Reason) -> None:
        text, found = line.text, self._found
        self._last = line
        if found is not None and found.text.endswith(":") and len(found.text) < _LONGEST:
            self._found = found = Reason(f"{found.text} {text}", found.at)
        if re.match(_GENERAL, text):
            self._general = line
        elif text.startswith(_FINAL):
            self._found = line  # a specific error of the service wins over any earlier error
        elif re.match(_NPM_NOISE, text):
            self._noise = self._noise or line
        elif found is None and re.search(_ERROR, text):
            self._found = line


def _shown(raw: str) -> str:
    """The text of a line, as a terminal would finally show it, without line breaks and sequences."""
    if "\r" in raw or "\b" in raw or "\x1b" in raw:
        from builds_async.models.render import render  # noqa: PLC0415  # slow to load, and rarely needed

        raw = render(raw)
    return " ".join(re.sub(SEQUENCES, "", raw).split())


def _brief(reason: str) -> str:
    if dead := re.match(_DIED, reason):
        reason = f"{dead[1].rstrip()}. {_REPAIR}"
    # Cut before `plain`, so that a huge line costs no time, and after it, because it makes control characters
    # longer.
    return plain(reason[:_LONGEST])[:_LONGEST]


def names_dead_token(texts: Iterable[str]) -> bool:
    """Whether a log ends with the service's message that the build token was deleted or rolled."""
    last = ""
    for raw in texts:
        last = _shown(raw) or last
    return re.match(_DIED, last) is not None
