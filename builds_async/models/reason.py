"""Why a build failed, in one line, from what it printed. Pure text, no guarantee: logs are free text."""

import re
from collections.abc import Iterable

_LONGEST = 300
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
# The service's own last line, which says that something failed, not what.
_GENERAL = re.compile(r"Failed: error occurred while \w+")
_FINAL = re.compile(r"Failed: ")
_ERROR = re.compile(
    r"""✘\s*\[ERROR\] | \[ERROR\] | ❌
    | \b(?:ERROR|Error|FATAL|fatal|error\[E\d+\]) \s* (?:\[[\w.-]+\]\s*)? :   # also TypeError: is one
    | \b\w+(?:Error|Exception): \s
    | \berror\s+TS\d+:
    | ^npm\s+(?:error|ERR!)\s
    | ^\s*error\b
    | ^(?:FAIL|FAILED)\s
    | :\s(?:command\snot\sfound|not\sfound|Permission\sdenied|No\ssuch\sfile\sor\sdirectory)\b
    """,
    re.VERBOSE,
)
_NPM_NOISE = re.compile(
    r"npm\s+(?:error|ERR!)\s*(?:$|code\s|errno\s|path\s|command\s|lifecycle\sscript|workspace\s|location\s|in\sworkspace|"
    r"at\s|signal\s|cwd\s|A\scomplete\slog|/|Lifecycle\s)",
)


def failure_reason(texts: Iterable[str]) -> str | None:
    """The line of a log that tells best why its build failed, None if none does.

    The service's own verdict where it is a particular one (a deleted build token, say), else the first line
    that reads like an error, with the next one where it ends in a colon, else the service's general
    verdict, else the last line that is not empty. At most 300 characters, without escape sequences.
    One pass; holds a few lines.
    """
    found: str | None = None
    noise = general = last = None
    for raw in texts:
        text = " ".join(_ANSI.sub("", raw).split())
        if not text:
            continue
        last = text
        if found is not None and found.endswith(":"):
            found = f"{found} {text}"
        if _GENERAL.match(text):
            general = text
        elif _FINAL.match(text):
            found = text
        elif _NPM_NOISE.match(text):
            noise = noise or text
        elif found is None and _ERROR.search(text):
            found = text
    reason = found or noise or general or last
    return reason[:_LONGEST] if reason else None
