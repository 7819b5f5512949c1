"""The budget in a Redis or Valkey: encodes the arguments of `lease.lua`, and decodes its reply."""

from collections.abc import Callable
from typing import Final

from builds_async.fleet.engine import Claim, Grant
from builds_async.fleet.keys import key
from builds_async.fleet.redis import RedisEngine
from builds_async.fleet.scripts import script
from builds_async.session.clock import Clock

PARTS: Final = ("state", "ends", "deadlines", "heard", "born")
"""The keys of one user, in the order in which the script takes them; all but the last expire."""


class RedisBudget:
    """A `BudgetEngine` over a Redis or Valkey."""

    def __init__(self, engine: RedisEngine, *, owned: bool) -> None:
        self.engine: RedisEngine = engine
        """The connection."""
        self.name: str = engine.name
        self.clock: Clock = engine.clock
        self._owned = owned

    def __repr__(self) -> str:
        return f"RedisBudget({self.engine!r})"

    async def open(self) -> None:
        """Check that the engine can be relied on; ConfigurationError if it can't."""
        await self.engine.open()

    async def lease(self, user: str, claim: Claim, *, now: int = 0) -> Grant:
        """Run the script. `now` replaces the engine's clock, for tests."""
        keys = [key("budget", user, part) for part in PARTS]
        return decoded(await self.engine.run(script("lease"), keys, encoded(claim, now)))

    async def listen_to_closings(self, user: str, heard: Callable[[float], object]) -> None:
        """Call `heard` with each message that the script publishes when it closes the gate."""
        await self.engine.listen(key("budget", user, "state"), lambda message: heard(int(message) / 1000))

    async def aclose(self) -> None:
        """Close the connection, unless it is borrowed."""
        if self._owned:
            await self.engine.aclose()


def encoded(claim: Claim, now: int) -> list[str | int]:
    """The arguments of the script, in its order."""
    history = claim.history or ()
    return [
        claim.member,
        *(claim.want, claim.want_polls, claim.polling, claim.total, claim.in_flight, claim.unused),
        *(claim.capacity, claim.window, claim.session, claim.timeout),
        *(claim.close, claim.api_left, claim.api_left_for),
        *(int(claim.history is not None), int(claim.leaving), now),
        *(number for pair in history for number in pair),
    ]


def decoded(reply: list[int]) -> Grant:
    """The grant in the script's reply."""
    if reply[0] == 1:
        return Grant(known=False)
    _, tokens, polls, closed, members, polling, free, wait, probing = reply
    return Grant(
        tokens=tokens,
        polls=polls,
        closed=closed,
        members=members,
        polling=polling,
        free=free,
        wait=wait,
        probing=bool(probing),
    )
