"""Supplies one member of a shared budget with tokens, and with a ration while the engine is out of reach."""

import asyncio
import logging
import os
import random
import secrets
from collections.abc import Callable
from contextlib import suppress
from math import inf

import msgspec

from builds_async.errors import BuildsError
from builds_async.fleet.engine import BudgetEngine, Claim, EngineError, Grant
from builds_async.fleet.pacing import Ration, tokens_for
from builds_async.fleet.tokens import BLOCK, Tokens
from builds_async.session.clock import Clock
from builds_async.session.headers import Allowance
from builds_async.session.observe import Rationed
from builds_async.session.rate_window import RateWindow

logger: logging.Logger = logging.getLogger("builds_async")

SESSION = 6.0
"""Seconds for which the engine keeps the tokens of a member that sends no claim."""

USE = 4.0
"""Seconds after which unused tokens expire here, two seconds before they expire in the engine.

The two seconds cover a slow call and clocks of different speed.
"""

_RENEW_INTERVAL = 0.7 * USE  # seconds: early enough to renew tokens that are still in use
_TIMEOUT = 30.0  # seconds after which a request of a silent member counts as ended
_RETRY_DELAY = 0.2  # seconds until a failed call of the engine is repeated
_RETRY_DELAY_RATIONED = 1.0
_LONGEST_WAIT = 0.5  # seconds until the next claim, after the engine had no tokens left
_ASSUMED_MEMBERS = 10  # by a member that has never reached the engine, and so does not know their number
_ROUND_TRIP = 0.01  # seconds that a claim probably takes
_LONGEST_RESET = 3600.0  # seconds; a later reset in the API's headers is taken for an error of the server
_STEPS = 60  # a member that joins reports its last window in this many steps


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of a `SharedBudget`."""

    user: str
    limit: int
    window: float
    reserve: float
    when_down: str


class Supply:
    """The tokens of one member.

    It calls `changed` when a waiting request may be able to go, `closed_by_other` with the seconds when
    another member got a 429, and `report` when a ration begins or ends.
    """

    def __init__(
        self,
        engine: BudgetEngine,
        terms: Terms,
        window: RateWindow,
        *,
        changed: Callable[[], None],
        closed_by_other: Callable[[float], None],
        report: Callable[[Rationed], None],
    ) -> None:
        self.engine: BudgetEngine = engine
        self.clock: Clock = engine.clock
        self.terms: Terms = terms
        self.tokens: Tokens = Tokens()
        self.grant: Grant = Grant(members=_ASSUMED_MEMBERS, free=window.capacity)  # the last one
        self.ration: Ration | None = None
        self.next_try_at: float = -inf
        self.poll_spacing: float = 0.0  # between two polls of this member
        self.next_poll_at: float = -inf
        self._window = window
        self._changed, self._closed_by_other, self._report = changed, closed_by_other, report
        self._member = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._chance: Callable[[], float] = random.random
        self._is_known = False  # to the engine
        self._close_until = -inf  # of a 429 that was not yet reported to the engine
        # How many requests are left by the API's headers, and until when; None once that was reported.
        self._api_left: tuple[int, float] | None = None
        self._has_reported_left = False  # whether the engine knows such a number from this member
        self._failing_since = inf
        self._refilling: asyncio.Task[None] | None = None
        self._background: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Check the engine and join. An engine that is out of reach is not an error."""
        try:
            await self.engine.open()
            await self._lease()
        except EngineError as error:
            logger.warning("%s; requests wait until it can be reached", error)
            self._fail(error, self.clock.now())
        self._background = [
            asyncio.ensure_future(self._keep()),
            asyncio.ensure_future(self.engine.listen_to_closings(self.terms.user, self._closed_by_other)),
        ]

    async def aclose(self) -> None:
        """Give back all tokens and close the engine."""
        tasks = [*self._background, *([] if self._refilling is None else [self._refilling])]
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks)
            if self._is_known:
                with suppress(BuildsError):  # then the tokens expire in the engine
                    await self.engine.lease(self.terms.user, self._claim(leaving=True))
        finally:
            await self.engine.aclose()

    # Called by the budget.

    @property
    def rationed(self) -> bool:
        """Whether the engine has been out of reach for a session, so that the member is on its ration."""
        return self.ration is not None

    def has(self, now: float, *, poll: bool) -> bool:
        """Whether a token or the ration allows a request now."""
        if self.ration is None:
            return now < self.tokens.valid_until and self.tokens.has(poll=poll)
        return self.terms.when_down != "stop" and self.ration.allows(now, in_flight=self.tokens.in_flight)

    def pace(self, now: float, spacing: float) -> None:
        """Note that a poll is sent. `spacing` is the time between two polls of all members together."""
        self.poll_spacing = spacing * max(1.0, self.grant.polling / max(1, self._polling(now)))
        self.next_poll_at = now + self.poll_spacing

    def use(self, now: float, *, poll: bool) -> None:
        """Count a request for which `has` was True."""
        if self.ration is not None:
            self.ration.spend(now)
            self.tokens.in_flight += 1
        elif self.tokens.use(poll=poll):
            self._start(now)

    def ready_at(self, now: float, *, poll: bool) -> float:
        """Request more tokens for a request for which `has` was False, and return when to try it again.

        Infinity means: when `changed` is called. No second claim is sent while one is in flight.
        """
        if self.ration is not None:
            return inf if self.terms.when_down == "stop" else self.ration.next_at
        # It counts as used already: a claim requests only tokens of the kinds that are in use.
        if poll:
            self.tokens.used_polls += 1
        else:
            self.tokens.used_singles += 1
        if self._refilling is None and now < self.next_try_at:
            return self.next_try_at
        self._start(now)
        return inf

    def expected_at(self, now: float, *, waiting: int) -> float:
        """An estimate of when there is a token, for a request for which `has` is False.

        It requests no tokens.
        """
        if self.ration is not None:
            return inf if self.terms.when_down == "stop" else self.ration.next_at
        # Tokens are requested by the first request that waits for one, and come within a round trip.
        return max(self.next_try_at, now + _ROUND_TRIP) if waiting else self.next_try_at

    def done(self) -> None:
        """Count the end of a request."""
        self.tokens.in_flight -= 1
        self.tokens.total += 1
        if self.ration is not None:
            self._changed()
        elif self.grant.probing and not self.tokens.in_flight:
            self._start(self.clock.now())  # report it now: all other members wait for this request

    def give_back(self, now: float) -> None:
        """Give back the token of a request that was not sent."""
        self.tokens.in_flight -= 1
        if self.ration is None and now < self.tokens.valid_until:
            self.tokens.singles += 1

    def close(self, now: float, seconds: float) -> None:
        """Report to the other members that this one got a 429."""
        self.tokens.drop()
        self._close_until = max(self._close_until, now + seconds)
        self._start(now)

    def drop(self) -> None:
        """Drop all tokens: the gate is closed, and the grants from before are void."""
        self.tokens.drop()

    def observe(self, now: float, allowance: Allowance) -> None:
        """Note how many requests are left by the API's headers, to report it with the next claim."""
        # Minus the whole reserve, not a share of what is left: members on a ration may use the reserve.
        left = allowance.left - (self.terms.limit - self._window.capacity)
        self._api_left = (max(0, left), now + min(allowance.reset, _LONGEST_RESET))
        if not self._has_reported_left and self._failing_since == inf:
            self.next_try_at = -inf  # see `_succeed`
        if self.ration is not None and allowance.quota and allowance.window == self._window.length:
            self.ration.observe(now, allowance.left, allowance.quota)

    # Claims.

    def _start(self, now: float) -> None:
        """Send a claim, unless one is in flight or one has just failed."""
        if self._refilling is None and not (now < self.next_try_at and self._failing_since < inf):
            self._refilling = asyncio.ensure_future(self._refill())

    async def _refill(self) -> None:
        try:
            # Again if a 429 came while the claim was in flight, since that claim did not report it.
            while True:
                began = self.clock.now()
                try:
                    await self._lease()
                except BuildsError as error:
                    self._fail(error, began)
                if self._failing_since < inf or self._close_until <= self.clock.now():
                    return
        finally:
            self._refilling = None
            self._changed()

    async def _keep(self) -> None:
        """Renew tokens in use, give back the others, and retry an engine that is out of reach."""
        while True:
            await self.clock.sleep(_RENEW_INTERVAL if self._failing_since == inf else _RETRY_DELAY_RATIONED)
            if self._refilling is None and (self._failing_since < inf or not self.tokens.is_idle):
                self.tokens.drop_idle()
                self._start(self.clock.now())

    async def _lease(self) -> None:
        asked = self.clock.now()
        if asked >= self.tokens.valid_until:
            self.tokens.drop()
        self.tokens.polls = min(self.tokens.polls, self._most_polls)  # other members may need the rest
        claim, api_left, close_until = self._claim(), self._api_left, self._close_until
        grant = await self.engine.lease(self.terms.user, claim)
        if not grant.known:  # this member is new, or the engine has lost its data
            claim = msgspec.structs.replace(claim, history=self._history(asked))
            grant = await self.engine.lease(self.terms.user, claim)
            self._has_reported_left = False
        self._is_known = True
        self.tokens.reported = claim.total
        # A value that changed while the claim was in flight is left for the next claim.
        if self._api_left is api_left:
            self._has_reported_left = self._has_reported_left or api_left is not None
            self._api_left = None
        if self._close_until == close_until:
            self._close_until = -inf
        if grant.closed:
            self._closed_by_other(grant.closed / 1000)
        if self._close_until == -inf and not grant.closed:
            self.tokens.add(grant.tokens, grant.polls)
        self.tokens.valid_until = asked + USE
        self.grant = grant
        self._succeed(grant, wanted=claim.want + claim.want_polls)

    @property
    def _most_polls(self) -> int:
        """The maximum number of tokens for polls."""
        return tokens_for(USE, self.poll_spacing, BLOCK)

    def _polling(self, now: float) -> int:
        """The weight of this member among those that poll. Lookups alone weigh as much as one build."""
        builds = self._window.polled_builds(now)
        return 1 + builds if builds or self.tokens.used_polls or self.tokens.polls else 0

    def _claim(self, *, leaving: bool = False) -> Claim:
        tokens, window, now = self.tokens, self._window, self.clock.now()
        api_left, left_until = self._api_left or (-1, now)
        want_polls = self._most_polls - tokens.polls if tokens.used_polls else 0
        return Claim(
            member=self._member,
            want=max(0, BLOCK - tokens.singles) if tokens.used_singles else 0,
            want_polls=max(0, want_polls),
            polling=self._polling(now),
            total=tokens.total,
            in_flight=tokens.in_flight,
            unused=0 if leaving else tokens.unused,
            capacity=window.capacity,
            window=_ms(window.length),
            session=_ms(SESSION),
            timeout=_ms(_TIMEOUT),
            close=_ms(self._close_until - now) if self._close_until > now else 0,
            api_left=api_left,
            api_left_for=_ms(left_until - now),
            leaving=leaving,
        )

    def _history(self, now: float) -> tuple[tuple[int, int], ...]:
        steps = self._window.history(now, self._window.length / _STEPS)
        return tuple((_ms(age), count) for age, count in steps)

    def _succeed(self, grant: Grant, *, wanted: int) -> None:
        now = self.clock.now()
        # An engine without a memory grants nothing until it knows what the API says is left.
        has_news = self._api_left is not None and not self._has_reported_left
        if wanted and not grant.tokens + grant.polls and not has_news:
            self.next_try_at = now + min(grant.wait / 1000, _LONGEST_WAIT)
        else:
            self.next_try_at = -inf
        seconds, self._failing_since = now - self._failing_since, inf
        if self.ration is not None:
            interval, self.ration = self.ration.interval, None
            logger.warning("%s can be reached again, after %.0f s", self.engine.name, seconds)
            self._report(Rationed(active=False, interval=interval, seconds=seconds))

    def _fail(self, error: BuildsError, began: float) -> None:
        """Note that a claim failed. After a whole session without the engine, go on the ration.

        Not earlier: until then the engine still counts the tokens of this member.
        """
        now, terms = self.clock.now(), self.terms
        self._failing_since = min(self._failing_since, began)
        seconds = now - self._failing_since
        if self.ration is None and seconds >= SESSION:
            self.ration = Ration(
                now,
                limit=terms.limit,
                reserve=terms.reserve,
                window=terms.window,
                members=max(1, self.grant.members),
                chance=self._chance(),
            )
            self.tokens.drop()
            stop = terms.when_down == "stop"
            interval = inf if stop else self.ration.interval
            how = "nothing is sent" if stop else f"one request is sent every {interval:.0f} s"
            logger.warning("%s; until the engine can be reached %s", error, how)
            self._report(Rationed(active=True, interval=interval, seconds=seconds, error=error))
        self.next_try_at = now + (_RETRY_DELAY if self.ration is None else _RETRY_DELAY_RATIONED)


def _ms(seconds: float) -> int:
    """Milliseconds, rounded up: a closing must not end early."""
    return int(seconds * 1000 + 0.999)
