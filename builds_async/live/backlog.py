"""Where the last N lines of a log begin, found while reading it forward: the API can't read backward."""

from collections import deque

from builds_async.models.logs import LogPosition


class Backlog:
    """Remembers where the batches of a log begin, as far back as its last `count` lines."""

    def __init__(self, count: int) -> None:
        if not isinstance(count, int) or count < 0:
            raise ValueError(f"tail must be a number of lines, 0 or more, not {count}")
        self._count = count
        self._batches: deque[tuple[LogPosition, int]] = deque()
        self._lines = 0

    def add(self, start: LogPosition, lines: int) -> None:
        """Add a batch of `lines` lines that begins at `start`."""
        self._batches.append((start, lines))
        self._lines += lines
        # Drop the first batch as soon as the others have enough lines by themselves.
        while self._batches and self._lines - self._batches[0][1] >= self._count:
            self._lines -= self._batches.popleft()[1]

    @property
    def start(self) -> LogPosition | None:
        """The place before the last `count` lines; None if there is nothing to go back to."""
        if not self._batches:
            return None
        place = self._batches[0][0]
        skipped = max(0, self._lines - self._count)
        return LogPosition(place.cursor, place.offset + skipped, place.number + skipped)
