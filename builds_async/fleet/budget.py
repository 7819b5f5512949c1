"""`SharedBudget`: one rate budget for many processes, in blocks of tokens from a shared engine."""

import asyncio
import os
from collections.abc import Callable, Mapping
from math import inf
from types import TracebackType
from typing import Literal, Self

from builds_async.fleet.engine import BudgetEngine, RedisClient
from builds_async.fleet.keys import checked_name
from builds_async.fleet.lease import RedisBudget
from builds_async.fleet.redis import RedisEngine
from builds_async.fleet.supply import Supply, Terms
from builds_async.session.budget_protocol import BudgetSnapshot
from builds_async.session.clock import Clock
from builds_async.session.headers import Allowance
from builds_async.session.numbers import fraction, whole
from builds_async.session.numbers import seconds as checked_seconds
from builds_async.session.observe import GateClosed, Observation, Observer
from builds_async.session.rate_window import RateWindow
from builds_async.session.window_budget import WindowBudget

_SAME_CLOSING = 1.0  # seconds; two closings whose ends differ by less come from the same 429


class SharedSnapshot(BudgetSnapshot, frozen=True, kw_only=True):
    """The state of a `SharedBudget`: `capacity`, `used` and `left` are those of all members together.

    They are from the engine's last reply, which is at most a few seconds old while requests are sent.
    """

    members: int
    """How many processes share the budget. A process that has sent nothing for 6 seconds does not count."""

    rationed: bool
    """Whether the engine has been out of reach for 6 seconds, and this process sends slowly or nothing."""


class SharedBudget(WindowBudget):
    """One rate budget for all processes of a Cloudflare user, over a Redis or Valkey that they share.

    `async with SharedBudget("redis://cache/0") as budget, BuildsClient(budget=budget) as client:`

    All members together keep the limit that `RateBudget` keeps for one process: at most `limit` requests
    (1,200) in any `window` seconds (300), minus the share `reserve` (0.1) for the user's other tools. All
    members must use the same three numbers.

    - A member gets *tokens*, each for one request, in blocks of up to 50. They are refilled in the
      background, so a call costs no round trip. Near the limit the blocks shrink to 1. Unused tokens are
      given back after a few seconds, and by `aclose`.
    - A process that is killed costs at most its block, for one window. A process that was suspended drops its
      old tokens.
    - A 429 closes the gate for all processes within milliseconds. When the gate opens, one request goes
      first, and the others follow after its response.
    - When the engine is out of reach, a process uses the tokens that it has. After 6 seconds it goes on
      slowly, on its *ration*: an equal share of half the reserve. While the API's headers say that more than
      half of the limit is left, one request at a time may be in flight on top of that. With
      `when_down="stop"` it sends nothing until the engine is back. The log (WARNING) and the observer
      (`Rationed`) report both. All processes together still keep the limit.
    - An engine that comes back without its data grants nothing for 6 seconds. By then all processes have
      reported the requests that they sent.

    - `engine`: a URL (`redis://`, `rediss://` for TLS, `unix://`), or a ready `redis.asyncio.Redis` or
      `valkey.asyncio.Valkey`, for Sentinel or your own TLS settings, which is never closed. It must be Redis
      6.2 or newer, or any Valkey, with the `maxmemory-policy` `noeviction`, and no cluster. It needs no
      persistence.
    - `user`: a name for the *Cloudflare user* ("default"). All tokens of one user share one budget.

    Opening it raises ConfigurationError for an engine that is too old, evicts keys, refuses the password or
    is not a Redis. An engine that is out of reach is not an error. An argument that is out of range is a
    ValueError or TypeError.

    A shared budget belongs to the event loop and the process in which it was opened. Using it elsewhere,
    before it is opened or after it is closed, is a RuntimeError. Several clients may share it; close them
    first.
    """

    def __init__(
        self,
        engine: str | RedisClient | RedisEngine | BudgetEngine,
        *,
        user: str = "default",
        limit: int = 1200,
        window: float = 300.0,
        reserve: float = 0.1,
        when_down: Literal["ration", "stop"] = "ration",
    ) -> None:
        terms = Terms(
            user=checked_name("user", user),
            limit=whole("limit", limit, at_least=1),
            window=checked_seconds("window", window, above_zero=True),
            reserve=fraction("reserve", reserve),
            when_down=when_down,
        )
        if when_down not in {"ration", "stop"}:
            raise ValueError(f'when_down must be "ration" or "stop", not {when_down!r}')
        self._terms = terms
        self._observers: list[Observer] = []
        checked = _budget_engine(engine)
        super().__init__(RateWindow(terms.limit, terms.window, terms.reserve), checked.clock)
        self._supply = Supply(
            checked,
            terms,
            self._window,
            changed=self._turns.wake,
            closed_by_other=self._close_by_other,
            report=self._report,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()
        self._closed = False

    def __repr__(self) -> str:
        it = self._terms
        return (
            f"SharedBudget({self._supply.engine.name!r}, user={it.user!r}, limit={it.limit},"
            f" window={it.window}, reserve={it.reserve}, when_down={it.when_down!r})"
        )

    async def __aenter__(self) -> Self:
        if self._loop is not None or self._closed:
            raise RuntimeError("a SharedBudget can be opened only once: make another one")
        self._loop, self._process = asyncio.get_running_loop(), os.getpid()
        try:
            await self._supply.open()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give back the unused tokens, and close the connections. Calling it again does nothing."""
        if not self._closed:
            self._closed = True
            try:
                await self._supply.aclose()
            finally:
                self._turns.wake()  # requests that wait raise their RuntimeError

    def bind(self, clock: Clock) -> None:
        """Do nothing: a shared budget uses the clock of its engine."""

    def report_to(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` with each `Rationed` and `GateClosed`, until the returned function is called."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def snapshot(self) -> SharedSnapshot:
        """The state of the budget for all members, as known to this process."""
        now, grant = self._clock.now(), self._supply.grant
        own = self._window.snapshot(now)
        used = max(own.used, self._used())
        return SharedSnapshot(
            capacity=own.capacity,
            used=used,
            left=0 if own.closed_for or self._supply.rationed else max(0, own.capacity - used),
            resets_in=max(own.resets_in, self._terms.window if used else 0.0),
            closed_for=own.closed_for,
            members=grant.members,
            rationed=self._supply.rationed,
        )

    def try_acquire(self, *, poll: bool) -> bool:
        """Count a request and return True if it may be sent now and no other request waits in front of it."""
        self._check()
        if self._turns.singles or (poll and self._turns.polls):
            return False
        return self._take(self._clock.now(), poll=poll)

    async def acquire(self, *, poll: bool, max_wait: float) -> bool:
        """Wait until a request may be sent, and count it.

        Returns False without counting if the API blocks all requests for longer than `max_wait` seconds;
        `max_wait` does not limit a wait for tokens. A canceled wait counts nothing, and the next request in
        the queue moves up.
        """
        self._check()
        with self._turns.queue(poll=poll) as turn:
            if turn is not None:
                if self.blocked_for > max_wait:
                    return False
                await turn
            while True:
                self._check()
                now = self._clock.now()
                if self._window.blocked_until(now) - now > max_wait:
                    return False
                if self._take(now, poll=poll):
                    return True
                ready_at = self._ready_at(now, poll=poll)
                if ready_at > now:
                    self._warn(now, ready_at)
                    await self._turns.nap(self._clock, ready_at - now)

    def done(self, *, poll: bool = False) -> None:
        """End a request that was sent, whatever the outcome. It counts for one more window from now."""
        if self._window.respond(self._clock.now(), poll=poll):
            self._turns.wake()
        self._supply.done()

    def give_back(self) -> None:
        """End a request that was not sent after all, so that another one may go instead."""
        self._window.give_back()
        self._supply.give_back(self._clock.now())
        self._turns.wake()

    def close(self, seconds: float) -> float:
        """Hold back all requests of all members for `seconds` after a 429, at most for 300.

        Returns the seconds for which the gate is closed.
        """
        now = self._clock.now()
        seconds = self._window.close(now, seconds)
        self._supply.close(now, seconds)
        self._report(GateClosed(seconds=seconds, by_other=False))
        self._turns.wake()
        return seconds

    def observe(self, allowances: Mapping[str, Allowance]) -> None:
        """Take in the `Ratelimit` headers of a response, for all members."""
        now = self._clock.now()
        self._window.observe(now, allowances)
        self._supply.observe(now, min(allowances.values(), key=lambda it: it.left))
        self._turns.wake()

    def ready_in(self, *, poll: bool) -> float:
        """Seconds until one more request could be sent, after those that wait already; 0 if it could be now.

        Infinity while the first request after a 429 is in flight, or while all requests wait for the engine.
        """
        now = self._clock.now()
        waiting = len(self._turns.singles) + (len(self._turns.polls) if poll else 0)
        at = max(now, self._window.ready_at(now, poll=poll, ahead=waiting))
        if poll:
            at = max(at, self._supply.next_poll_at + len(self._turns.polls) * self._supply.poll_spacing)
        if not self._supply.has(now, poll=poll):
            at = max(at, self._supply.expected_at(now, waiting=waiting))
        return at - now

    def _check(self) -> None:
        """Raise RuntimeError for a call when the budget is not open, or from another loop or process."""
        if self._closed:
            raise RuntimeError("the SharedBudget is closed")
        if self._loop is None:
            raise RuntimeError(
                "the SharedBudget is not open: use it as `async with SharedBudget(...) as budget`"
            )
        if os.getpid() != self._process:
            raise RuntimeError(
                "the SharedBudget was opened before a fork: open it in the process that uses it"
            )
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("the SharedBudget was opened in another event loop: open one in each loop")

    def _take(self, now: float, *, poll: bool) -> bool:
        """Count a request, if it may be sent now."""
        if not self._supply.has(now, poll=poll) or (poll and now < self._supply.next_poll_at):
            return False
        # Nearly all single calls take the fast path `try_take`, which does no arithmetic on times.
        if poll or not self._window.try_take():
            behind_singles = bool(self._turns.singles)
            if self._window.ready_at(now, poll=poll, behind_singles=behind_singles) > now:
                return False
            self._window.take(now, poll=poll, waiting=len(self._turns))
        if poll:
            others = max(0, self._used() - self._window.used)
            self._supply.pace(now, self._window.poll_spacing(now, others=others))
        self._supply.use(now, poll=poll)
        return True

    def _ready_at(self, now: float, *, poll: bool) -> float:
        """When to try again a request that may not be sent now."""
        at = self._window.ready_at(now, poll=poll, behind_singles=bool(self._turns.singles))
        if poll:
            at = max(at, self._supply.next_poll_at)
        return at if at > now else self._supply.ready_at(now, poll=poll)

    def _used(self) -> int:
        """The requests of all members in the last window, and the unused tokens of the other members."""
        return max(0, self._window.capacity - self._supply.grant.free - self._supply.tokens.unused)

    def _close_by_other(self, seconds: float) -> None:
        """Close the gate because another member got a 429. The message may also echo a 429 of our own."""
        now = self._clock.now()
        if now + seconds <= self._window.closed_until + _SAME_CLOSING:
            return
        seconds = self._window.close(now, seconds)
        self._supply.drop()
        self._report(GateClosed(seconds=seconds, by_other=True))
        self._turns.wake()

    def _report(self, observation: Observation) -> None:
        for observer in tuple(self._observers):
            observer(observation)

    def _warn(self, now: float, until: float) -> None:
        """Log that calls wait until `until`, or until the next claim if that is later."""
        window, supply = self._window, self._supply
        if supply.ration is None and until < inf:
            until = max(until, now + supply.grant.wait / 1000)
        if supply.ration is not None:
            otherwise = f"{supply.engine.name} is out of reach"
        elif supply.grant.free > 0:
            otherwise = (
                f"{supply.engine.name} has just started to count, and waits for the reports of all members"
            )
        else:
            otherwise = f"all members have sent {window.capacity} requests in the last {window.length:g} s"
        self._log_wait(now, until, otherwise)


def _budget_engine(engine: str | RedisClient | RedisEngine | BudgetEngine) -> BudgetEngine:
    if isinstance(engine, BudgetEngine):
        return engine
    if isinstance(engine, RedisEngine):
        return RedisBudget(engine, owned=False)
    return RedisBudget(RedisEngine(engine), owned=True)
