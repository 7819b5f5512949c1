"""Following a build's log while it grows."""

from operator import length_hint
from typing import Self

from msgspec.structs import replace

from builds_async.errors import BuildsError
from builds_async.live.demand import Demand
from builds_async.live.log_reader import LogReader
from builds_async.live.patience import Patience
from builds_async.live.single_reader import SingleReader
from builds_async.live.sources import LogSource, StateSource
from builds_async.models.builds import Build
from builds_async.models.logs import LogLine, LogPosition
from builds_async.models.steps import BuildStep
from builds_async.session.clock import Clock


class LogFollower:
    """Every line of a build's log, once and in order, until the build has finished and its log is drained.

    `async for line in log` and `await log.read()` may be mixed. Between two lines the follower holds no
    connection, task or scope, so there is nothing to close. It is not a generator: after a `break`, a
    timeout around one line, a cancellation or an error, the same object continues where it stopped. Canceling
    loses nothing and repeats nothing, because its state changes only after a response has been read.

    It ends by itself. Once the build is `stopped` and has its outcome (or has had none for 30 s), the
    follower reads until a page has no new lines. If the build stopped less than 5 s before, by the server's
    clock, it reads once more 2 s later.

    A queued build has no log, so only its state is requested, every 2.5 s. While the build runs, the log is
    polled every `poll_interval` seconds. While no line comes, that interval grows up to `max_poll_interval`.
    It is never shorter than the client's `RateBudget` allows. The log of a finished build is read without
    pauses. Followers and waiters of one client share requests for the states of their builds.

    If there is no log yet, the follower waits for it until the build has finished. A log is **gone** if the
    API responds with 404 after it has returned lines or a cursor, or if a build ran and has no log at all,
    because Cloudflare keeps logs for 90 days. Then the loop ends once the build has finished, with `complete`
    False and a warning in the log `builds_async`.

    With `tail` it skips all but the last `tail` of the lines that exist at first.

    With `wait` False it ends after the last line that exists now, whatever the state of the build, and never
    pauses. A follower that starts at its `position` reads later lines. A build without a log has no lines.

    The docstring of `LogCursor` lists the assumptions about pages.

    A `transient` error is raised when every request has failed for the client's `patience` (300 s), any other
    error at once: an unknown build is a NotFoundError. There is no time limit: use `async with
    asyncio.timeout(600):` around it. A second task that reads while one is waiting gets a RuntimeError.
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
        wait: bool = True,
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
            wait=wait,
        )
        self._patience = Patience(clock) if patience is None else patience
        self._demand = demand
        self._buffered = self._reader.buffered
        self._build_uuid = build_uuid
        self._single = SingleReader("this log")

    def __repr__(self) -> str:
        state = "ended" if self._reader.ended else "open"
        return f"<LogFollower {self._build_uuid} {state} at {self.position}>"

    @property
    def build(self) -> Build:
        """The build as it was last seen. After the loop has ended by itself, it is the finished build.

        With `wait` False, the build may still run after the loop.

        If the API returns no `preview_url` for it, it has the one of the log. RuntimeError before the first
        read, when nothing is known about the build.
        """
        if (build := self._reader.build) is None:
            raise RuntimeError("the build is not known before the first read of its log")
        if build.preview_url is None and (url := self.preview_url) is not None:
            return replace(build, preview_url=url)
        return build

    @property
    def versions(self) -> tuple[str, ...]:
        """The ids of the uploaded versions that the log names, each once, in its order; at most 100.

        They come from wrangler's lines `Current Version ID: ...` and `Worker Version ID: ...`, as soon as
        these are fetched. Lines that `tail` skips count, but lines before `start` do not. A build can write
        anything into its log: `client.builds.by_version` proves which build made a version. If this is empty
        after a successful `wrangler deploy`, nothing was uploaded. Other tools write no such lines.
        """
        return self._reader.facts.versions

    @property
    def preview_url(self) -> str | None:
        """The last preview URL in the log that belongs to one of its `versions`; None if there is none.

        It comes from wrangler's line `Version Preview URL: ...` and always has the form
        `https://{first 8 digits of the version}-...workers.dev`. The URL of an alias is ignored, because it
        shows the newest upload of its branch and not that of this build. The same lines count as for
        `versions`.
        """
        return self._reader.facts.preview_url

    @property
    def steps(self) -> tuple[BuildStep, ...]:
        """The steps of the build so far, in order, at most five: initialize, clone, install, build, deploy.

        They come from the service's own lines and the log's `events`, as soon as these are fetched. A step
        that the log does not show is left out. A build can print the same lines, so show steps, but do not
        act on them. The same lines count as for `versions`.
        """
        return self._reader.steps.steps(self._reader.build)

    @property
    def complete(self) -> bool:
        """True once the log has ended and was read completely; with `wait` False, as far as it exists now.

        False before the end. After it, False if the log is gone, if it has fewer lines than `start` counts,
        or if the last page was marked as truncated.
        """
        return self._reader.complete

    @property
    def outage(self) -> BuildsError | None:
        """The last error of the present outage, which is why no line comes; None if there is no outage."""
        return self._patience.outage

    @property
    def position(self) -> LogPosition:
        """The place after the last delivered line.

        `client.follow(build_uuid, start=position)` continues exactly there, in this process or a later one.
        """
        return self._reader.position

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LogLine:
        for line in self._buffered:  # the cheapest way to take one line; no cancellation can interrupt it
            return line
        await self._fetch()
        for line in self._buffered:
            return line
        raise StopAsyncIteration

    async def ready(self) -> bool:
        """Wait until `read` would return lines at once; False at the end. Canceling it is safe.

        Then `position` is the place before these lines.
        """
        if not length_hint(self._buffered):
            await self._fetch()
        return bool(length_hint(self._buffered))

    async def read(self) -> tuple[LogLine, ...]:
        """The remaining lines of one response, at least one; `()` after the end.

        It waits until there is a line. Canceling it is safe.
        """
        if not length_hint(self._buffered):
            await self._fetch()
        return tuple(self._buffered)

    async def _fetch(self) -> None:
        """Put the next lines into the reader's buffer, or none at the end."""
        with self._single:
            try:
                while not (length_hint(self._reader.buffered) or self._reader.ended):
                    await self._step()
            finally:
                self._buffered = self._reader.buffered  # kept here too: it is read for each line

    async def _step(self) -> None:
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
