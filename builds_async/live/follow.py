"""Following a build's log while it grows."""

from operator import length_hint
from typing import Self

from msgspec.structs import replace

from builds_async.errors import BuildsError
from builds_async.live.demand import Demand
from builds_async.live.log_reader import LogReader
from builds_async.live.patience import Patience
from builds_async.live.sources import LogSource, StateSource
from builds_async.models.builds import Build
from builds_async.models.logs import LogLine, LogPosition
from builds_async.session.clock import Clock


class LogFollower:
    """Every line of a build's log, once and in order, until the build has finished and its log is drained.

    `async for line in log` and `await log.read()` may be mixed. Between two lines the follower holds no
    connection, task or scope, so there is nothing to close. It is not a generator: after a `break`, a
    timeout around one line, a cancellation or an error, the same object goes on where it was. Canceling
    loses nothing and repeats nothing, because its state moves only after a response has been read.

    It ends by itself: when the build is `stopped` and has its outcome (waited for at most 30 s), it reads
    on until a page brings nothing, and, if the build stopped less than 5 s ago by the server's clock, once
    more 2 s later. While the build is queued it has no log, and only its state is requested, every 2.5 s.
    While it runs, the log is polled every `poll_interval` seconds, less often up to `max_poll_interval` while
    nothing comes, and never faster than the client's `RateBudget` allows. The log of a finished build is read
    without a pause, like any single call. Followers and waiters of one client share requests for the states
    of their builds.

    A log that does not exist is waited for until the build has finished. A log that is **gone**, because the
    API responds with 404 after it gave lines or a cursor, ends the loop once the build has finished, with
    `complete` False and a warning in the log `builds_async`. The same holds for a build that ran and whose
    log does not exist at all: Cloudflare keeps logs for 90 days.

    With `tail` it skips all but the last `tail` lines of those that exist at first.

    `LogCursor` says what it assumes about pages.

    A `transient` error is raised when nothing but such errors has come for the client's `patience` (300 s);
    any other error of `client.builds.get` and `client.builds.logs` at once: an unknown build is a
    NotFoundError. It has no time limit of its own: use `async with asyncio.timeout(600):` around it.
    A second task that reads while one is waiting gets a RuntimeError.
    """

    def __init__(
        self,
        source: LogSource,
        build_uuid: str,
        *,
        clock: Clock,
        finished_source: LogSource | None = None,
        state: StateSource | None = None,
        patience: Patience | None = None,
        demand: Demand | None = None,
        start: LogPosition | None = None,
        tail: int | None = None,
        poll_interval: float = 1.0,
        max_poll_interval: float = 5.0,
    ) -> None:
        self._reader = LogReader(
            source,
            build_uuid,
            clock=clock,
            finished_source=finished_source,
            state=state,
            start=start,
            tail=tail,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
        )
        self._patience = Patience(clock) if patience is None else patience
        self._demand = demand
        self._buffered = self._reader.buffered
        self._build_uuid = build_uuid
        self._reading = False

    def __repr__(self) -> str:
        state = "ended" if self._reader.ended else "open"
        return f"<LogFollower {self._build_uuid} {state} at {self.position}>"

    @property
    def build(self) -> Build:
        """The build as last seen; final when the loop has ended by itself.

        Where the API gives it no `preview_url`, it has that of the log. RuntimeError before the first read,
        when nothing is known of it.
        """
        if (build := self._reader.build) is None:
            raise RuntimeError("the build is not known before the log was read for the first time")
        if build.preview_url is None and (url := self.preview_url) is not None:
            return replace(build, preview_url=url)
        return build

    @property
    def versions(self) -> tuple[str, ...]:
        """The ids of the versions that the log says were uploaded, in its order, each once; at most 100.

        From the lines of wrangler, `Current Version ID: ...` and `Worker Version ID: ...`, as soon as they
        are fetched. Lines that `tail` skips count, those before `start` do not. A build can write anything
        into its log: `client.builds.by_version` proves which build made a version. Empty in the whole log of
        a successful `wrangler deploy` means that nothing was uploaded; other tools write no such lines.
        """
        return self._reader.facts.versions

    @property
    def preview_url(self) -> str | None:
        """The preview URL that the log has for a version that it names, the last one; None if it has none.

        From wrangler's line `Version Preview URL: ...`. It is always of the form
        `https://{first 8 digits of the version}-...workers.dev`. The URL of an alias is not taken: it shows
        the newest upload of its branch, not this build's. Which lines count is as for `versions`.
        """
        return self._reader.facts.preview_url

    @property
    def complete(self) -> bool:
        """True once the log has ended and the API had no more to give.

        False before the end, and after it if the log is gone, if it has fewer lines than `start` counts, or
        if the API ended it while it said that more was to come.
        """
        return self._reader.complete

    @property
    def outage(self) -> BuildsError | None:
        """Why no line comes: the last error of an outage that is being sat out, None if there is none."""
        return self._patience.outage

    @property
    def position(self) -> LogPosition:
        """The place behind the last line delivered.

        `client.follow(build_uuid, start=position)` goes on exactly there, in this process or a later one.
        """
        return self._reader.position

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LogLine:
        for line in self._buffered:  # taking from an iterator is the cheapest step there is, and atomic
            return line
        await self._fetch()
        for line in self._buffered:
            return line
        raise StopAsyncIteration

    async def read(self) -> tuple[LogLine, ...]:
        """The next lines, at least one, as many as one response brought; `()` at the end, every time.

        Waits while there is none. Canceling it is safe.
        """
        if not length_hint(self._buffered):
            await self._fetch()
        return tuple(self._buffered)

    async def _fetch(self) -> None:
        """Put the next lines into the reader's buffer, or none at the end."""
        if self._reading:
            raise RuntimeError("another task is already reading this log; give each its own follower")
        self._reading = True
        try:
            while not (length_hint(self._reader.buffered) or self._reader.ended):
                await self._reader.pace.turn(not_before=self._patience.due)
                try:
                    await self._reader.step()
                except BuildsError as error:
                    if not self._patience.outlasts(error):
                        raise
                else:
                    self._patience.succeeded()
                if self._demand is not None and self._reader.build is not None:
                    self._demand.see(self, self._reader.build)
        finally:
            self._buffered = self._reader.buffered  # kept here too: it is read for each line
            self._reading = False
