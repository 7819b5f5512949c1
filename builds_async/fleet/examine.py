"""Checks the shared engine, for `builds-async doctor` and for programs."""

import time
from collections.abc import Iterator

from builds_async.errors import BuildsError, ConfigurationError
from builds_async.fleet.engine import EngineFacts, RedisClient
from builds_async.fleet.keys import key
from builds_async.fleet.redis import RedisEngine
from builds_async.models.diagnosis import Finding

_SKEW = 5.0  # seconds by which the clocks may differ


async def diagnose_engine(engine: str | RedisClient, *, user: str = "default") -> tuple[Finding, ...]:
    """Check an engine before work starts, and say what is wrong, as `client.diagnose` does for an account.

    `engine` and `user` are those of `SharedBudget`. The first finding is `engine`; if the engine works, the
    others are `persistence`, `clock` and `members`. Errors become findings and are not raised. The check
    writes nothing.
    """
    opened = RedisEngine(engine)
    try:
        return await _examine(opened, user)
    finally:
        await opened.aclose()


async def _examine(engine: RedisEngine, user: str) -> tuple[Finding, ...]:
    try:
        facts = await engine.facts()
        before = time.time()
        now = await engine.time()
        after = time.time()
        deadlines = await engine.ask("ZRANGE", key("budget", user, "deadlines"), "0", "-1", "WITHSCORES")
    except BuildsError as error:
        is_wrong = isinstance(error, ConfigurationError)
        return (Finding(check="engine", state="problem" if is_wrong else "unknown", message=error.message),)
    skew = max(before - now, now - after, 0.0)
    return (*_of_facts(engine.name, facts), _clock(skew), _members(deadlines, now))


def _of_facts(name: str, facts: EngineFacts | None) -> Iterator[Finding]:
    if facts is None:
        yield Finding(
            check="engine",
            state="ok",
            message=f"{name} works, but forbids INFO, so its version and maxmemory-policy are unknown",
        )
        return
    product = f"{facts.product} {facts.version}"
    yield Finding(check="engine", state="ok", message=f"{name} is {product}, and evicts nothing")
    if facts.persistent is None:
        message = "the engine does not say whether it writes to disk"
    elif facts.persistent:
        message = "the engine writes to disk"
    else:
        message = (
            "the engine writes nothing to disk: enough for the rate budget, but a restart loses positions"
        )
    yield Finding(check="persistence", state="unknown" if facts.persistent is None else "ok", message=message)


def _clock(skew: float) -> Finding:
    if skew <= _SKEW:
        return Finding(check="clock", state="ok", message="the clocks of the engine and this machine agree")
    return Finding(
        check="clock",
        state="problem",
        message=f"the clocks of the engine and this machine differ by {skew:.0f} s",
        advice="Synchronize the clocks of both machines: one of them is wrong",
    )


def _members(deadlines: list[object], now: float) -> Finding:
    """How many members there are. The reply is a flat list, or a list of pairs over RESP3."""
    scores = [pair[1] for pair in deadlines if isinstance(pair, list | tuple)] or deadlines[1::2]
    count = sum(float(str(_text(score))) > now * 1000 for score in scores)
    processes = "1 process shares" if count == 1 else f"{count} processes share"
    return Finding(check="members", state="ok", message=f"{processes} the rate budget now")


def _text(score: object) -> object:
    return score.decode() if isinstance(score, bytes) else score
