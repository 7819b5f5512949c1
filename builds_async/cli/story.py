"""Reports on standard error when the builds of a tail begin and how they end."""

from collections import deque
from collections.abc import Callable, Collection

from builds_async import Build, LogLine, TailEnd, TailItem
from builds_async.cli.facts import DIGITS, subject_of
from builds_async.cli.outcome import INCOMPLETE, RECENT, reason_in
from builds_async.cli.terminal import Screen
from builds_async.cli.text import DIM, STATE_COLORS, paint, visible_text
from builds_async.cli.times import format_duration

_MAX_SUBJECT = 72
_MAX_SEARCHED = 2000
"""How many characters of a line are kept for the reason: a log may have lines of megabytes."""


def commit_line(build: Build) -> str:
    """The branch, the commit and the first line of its message, as far as they are known."""
    subject = subject_of(build)
    if len(subject) > _MAX_SUBJECT:
        subject = f"{subject[: _MAX_SUBJECT - 3]}..."
    words = (build.branch, (build.commit_hash or "")[:DIGITS], subject)
    return visible_text(" ".join(word for word in words if word))


class Story:
    """Writes a line when a build begins and when it ends; keeps the last lines of the logs that are open.

    Nothing is written for the beginning of a build that is `known`: a resumed tail is in the middle of it.
    Each line ends with the address of the build's page, as far as `page` knows it; on a terminal with links,
    the prefix is expected to be the link instead. If the story is not `shown`, nothing is written, and lines
    are kept only with `keep`, for the reason that `add` returns.
    """

    def __init__(
        self,
        screen: Screen,
        prefix: Callable[[TailItem], str],
        *,
        page: Callable[[TailItem], str | None] = lambda _item: None,
        known: Collection[str] = (),
        shown: bool = True,
        keep: bool = False,
    ) -> None:
        self._screen = screen
        self._page = page
        self._prefix = prefix
        self._known = known
        self._shown = shown
        self._kept = shown or keep
        self._recent: dict[str, deque[LogLine]] = {}

    def has(self, item: TailItem) -> bool:
        """Whether `add` may write a line for the item: it is the first or last item of its build."""
        return self._shown and (isinstance(item, TailEnd) or item.build.build_uuid not in self._recent)

    def add(self, item: TailItem) -> str | None:
        """Write a line if the item is the first or the last one of its build; remember its log line.

        Returns the reason for a failure if the item is an end.
        """
        if not self._kept:
            return None
        uuid = item.build.build_uuid
        if isinstance(item, TailEnd):
            reason = reason_in(item.build, self._recent.pop(uuid, ()))
            self._write(item, self._end(item, reason))
            return reason
        if (recent := self._recent.get(uuid)) is None:
            recent = self._recent[uuid] = deque(maxlen=RECENT)
            if uuid not in self._known:
                self._write(item, f"started: {commit_line(item.build)}".rstrip(": "))
        recent.append(LogLine(item.line.timestamp, item.line.message[:_MAX_SEARCHED]))
        return None

    def _end(self, end: TailEnd, reason: str | None) -> str:
        build = end.build
        word = visible_text(build.state)
        text = paint(word, STATE_COLORS.get(word, DIM)) if self._screen.color else word
        if build.duration is not None:
            text += f" after {format_duration(build.duration)}"
        if reason is not None:
            text += f": {visible_text(reason)}"
        return text if end.complete else f"{text} ({INCOMPLETE})"

    def _write(self, item: TailItem, text: str) -> None:
        if not self._shown:
            return
        page = None if self._screen.links else self._page(item)
        self._screen.write(f"{self._prefix(item)}-- {' '.join(filter(None, (text, page)))}\n")
