"""The uploads that the lines of a log name, without I/O: the ids of versions, and a preview URL.

wrangler writes `Current Version ID: ...` when it has deployed, and `Worker Version ID: ...` and `Version
Preview URL: ...` when it has only uploaded. Other tools that deploy write none of these.
"""

import re
from collections.abc import Iterable

from builds_async.models.logs import LogLine
from builds_async.models.text import SEQUENCES
from builds_async.session.ids import UUID

MAX_VERSIONS = 100
"""The maximum number of version ids: a build of a large monorepo may deploy that many Workers."""

_LONGEST = 1000
"""How many characters of a line are searched, so that a hostile line costs no time."""

# A task runner may write a prefix before the label, such as `web:deploy: `.
_BEFORE = r"(?a)(?:.*\s)?"
_VERSION = rf"{_BEFORE}(?:Current|Worker) Version ID:\s*({UUID})\s*$"
_ADDRESS = r"(https://([0-9a-f]{8})-[a-z0-9-]{1,54}\.[a-z0-9-]{1,63}\.workers\.dev)"
_PREVIEW = rf"{_BEFORE}Version Preview URL:\s*{_ADDRESS}/?\s*$"


class LogFacts:
    """The versions and the preview URL that a log has named so far."""

    def __init__(self) -> None:
        self._versions: dict[str, None] = {}
        self._preview_url: str | None = None

    @property
    def versions(self) -> tuple[str, ...]:
        """The ids in the order of the log, each once, in lower case; at most the first 100."""
        return tuple(self._versions)

    @property
    def preview_url(self) -> str | None:
        """The last preview URL of a version that the log has named before it; None if there is none."""
        return self._preview_url

    def add(self, lines: Iterable[LogLine]) -> None:
        """Take lines of the log, in order. Lines that come again change nothing."""
        for line in lines:
            if "ersion " in line.message:  # a cheap check for each line, which few lines pass
                self._take(line.message)

    def _take(self, message: str) -> None:
        # Cut before the regular expressions see it.
        text = re.sub(SEQUENCES, "", message[:_LONGEST])
        if (version := re.match(_VERSION, text)) is not None:
            if len(self._versions) < MAX_VERSIONS:
                self._versions[version[1].lower()] = None
            return
        preview = re.match(_PREVIEW, text)
        # wrangler's URL begins with the id of the version. Any other line was written by the build.
        if preview is not None and any(it.startswith(preview[2]) for it in self._versions):
            self._preview_url = preview[1]
