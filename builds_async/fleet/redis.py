"""The connection to a Redis or Valkey: checks it, runs scripts, hears messages, and explains its errors."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Final, NoReturn, TypeAlias

import redis.exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from builds_async.errors import ConfigurationError
from builds_async.fleet.address import secrets, shown
from builds_async.fleet.boot import BootClock
from builds_async.fleet.engine import EngineFacts, RedisClient
from builds_async.fleet.explain import IS_A_CLUSTER, Explanations, ForbiddenError
from builds_async.fleet.scripts import Script
from builds_async.session.clock import Clock

logger: logging.Logger = logging.getLogger("builds_async")

Reply: TypeAlias = Any
"""What a script returns: integers, bytes or text, None, and lists of those."""

OLDEST: Final = (6, 2)
"""The oldest version of Redis that the scripts are tested on. All versions of Valkey are newer."""

TIMEOUT: Final = 1.0
"""Seconds for one call of the engine, connect included."""

_QUIET = 10.0  # seconds without a message after which a subscription asks whether the connection still lives
_AGAIN = 0.5  # seconds between two attempts to subscribe


class RedisEngine:
    """A Redis or Valkey that members share.

    `engine` is a URL (`redis://`, `rediss://` for TLS, `unix://`), or a `redis.asyncio.Redis` or
    `valkey.asyncio.Valkey` of your own, which is never closed. Every error that leaves is an `EngineError`,
    which passes, or a `ConfigurationError`, which does not. None has the password.
    """

    def __init__(self, engine: str | RedisClient, *, timeout: float = TIMEOUT) -> None:
        self.clock: Clock = BootClock()
        """Measures leases: it goes on while the machine sleeps, as the engine's clock does."""
        self._timeout = timeout
        self._hidden: tuple[str, ...] = ()
        self._borrowed = not isinstance(engine, str)
        self.name: str = "the engine"
        """Where the engine is, without the password: for messages."""
        if isinstance(engine, str):
            self._hidden, self.name = secrets(engine), shown(engine)
            self._client: Any = _client(engine, self.name, timeout)  # redis-py is only half typed
            self._listener: Any = _client(engine, self.name, timeout, quiet=True)
        else:
            self._client = self._listener = engine
        self._exceptions = _exceptions_of(self._client)
        self._explain = Explanations(self._exceptions, self.name, self._hidden, timeout)
        root = getattr(self._exceptions, "RedisError", None) or self._exceptions.ValkeyError
        self._errors: tuple[type[BaseException], ...] = (root, OSError, TimeoutError)
        self._checked = self._closed = False
        self._process = os.getpid()

    def __repr__(self) -> str:
        return f"RedisEngine({self.name!r})"

    async def open(self) -> None:
        """Check once that this is an engine to rely on.

        ConfigurationError if it is no Redis or Valkey, too old, evicts keys, or refuses the password.
        EngineError if it can't be reached: then the next call of `open` checks.
        """
        if not self._checked:
            await self.facts()
            self._checked = True

    async def facts(self) -> EngineFacts | None:
        """What the engine says of itself, checked as `open` does. None where INFO is forbidden."""
        try:
            info = await self._command("INFO")
        except ForbiddenError:
            logger.warning(
                "%s forbids INFO, so its version and its maxmemory-policy can't be checked: it has to be"
                " %d.%d or newer, with the policy noeviction",
                self.name,
                *OLDEST,
            )
            await self._command("PING")
            return None
        said = _parsed(info)
        facts = _facts(said, persistent=said.get("aof_enabled") == "1" or await self._saves())
        _check(facts, said, self.name)
        return facts

    async def _saves(self) -> bool | None:
        """Whether the engine writes snapshots. None where CONFIG is forbidden, as on most hosted engines."""
        try:
            return bool((await self._command("CONFIG GET", "save")).get("save"))
        except ForbiddenError:
            return None

    async def time(self) -> float:
        """The engine's clock: seconds since 1970."""
        seconds, micros = await self._command("TIME")
        return float(int(seconds) + int(micros) / 1e6)

    async def ask(self, *words: str) -> Reply:
        """The reply to a command that only reads."""
        return await self._command(*words)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Reply:
        """What a script returns. It is sent by its hash, and with its text if the engine does not have it."""
        values: tuple[str | bytes | int, ...] = (*keys, *args)
        return await self._execute(script, len(keys), values)

    async def listen(self, channel: str, heard: Callable[[bytes], object]) -> None:
        """Call `heard` with each message of a channel, until cancelled.

        On a connection of its own, which may be quiet for hours; one that is lost is made anew. Messages that
        were published meanwhile are lost: whatever they say must also be in the engine's state.
        """
        warned = False
        while True:
            try:
                await self._listen(channel, heard)
            except self._errors as error:
                explained = self._explain(error, "SUBSCRIBE")
            if isinstance(explained, ConfigurationError) and not warned:
                warned = True
                logger.warning("%s", explained)
            await self.clock.sleep(_AGAIN)

    async def aclose(self) -> None:
        """Close the connections, unless they are borrowed."""
        if self._closed or self._borrowed:
            return
        self._closed = True
        for client in (self._client, self._listener):
            try:
                async with asyncio.timeout(self._timeout):
                    await client.aclose()
            except self._errors:
                pass  # an engine that is gone can't say goodbye

    async def _listen(self, channel: str, heard: Callable[[bytes], object]) -> NoReturn:
        async with self._listener.pubsub() as subscription:
            async with asyncio.timeout(self._timeout):
                await subscription.subscribe(channel)
            asked = False
            while True:
                # Without a timeout, redis-py would apply the socket's to a connection that is only quiet.
                message = await subscription.get_message(timeout=_QUIET)
                if message is None:
                    if asked:
                        raise TimeoutError
                    asked = True
                    async with asyncio.timeout(self._timeout):
                        await subscription.ping()
                    continue
                asked = False
                if message["type"] == "message":
                    heard(_as_bytes(message["data"]))

    async def _command(self, *words: str) -> Reply:
        return await self._guarded(lambda: self._client.execute_command(*words), words[0])

    async def _execute(self, script: Script, count: int, values: Sequence[str | bytes | int]) -> Reply:
        async def run() -> Reply:
            try:
                return await self._client.execute_command("EVALSHA", script.sha, count, *values)
            except self._exceptions.NoScriptError:
                pass
            return await self._client.execute_command("EVAL", script.source, count, *values)

        return await self._guarded(run, f"the script {script.name}")

    async def _guarded(self, call: Callable[[], Any], what: str) -> Reply:
        """The result of a call, or an error of ours in the place of the client's."""
        if self._closed:
            raise RuntimeError("the connection to the engine is closed")
        if os.getpid() != self._process:
            raise RuntimeError(
                "the connection to the engine was opened before a fork: open it in the process that uses it"
            )
        task = asyncio.current_task()
        before = 0 if task is None else task.cancelling()
        try:
            async with asyncio.timeout(self._timeout):
                reply = await call()
        except self._errors as error:
            failure = self._explain(error, what)
        else:
            if task is not None and task.cancelling() > before:
                raise asyncio.CancelledError  # redis-py swallows one that strikes while it connects
            return reply
        # Out here: the client's error is not its context, which may show the URL or the arguments.
        raise failure


def _client(url: str, name: str, timeout: float, *, quiet: bool = False) -> Any:  # noqa: ANN401  # half typed
    """A client for a URL. `quiet` for one whose connection may be silent for long."""
    over_tcp = {} if url.startswith("unix:") else {"socket_keepalive": True}
    failure = None
    try:
        client: Any = Redis.from_url(
            url,
            socket_connect_timeout=timeout,
            socket_timeout=None if quiet else timeout,
            retry=Retry(NoBackoff(), 0),
            **over_tcp,
        )
        client.connection_pool.make_connection()  # it opens nothing, but refuses an option that is unknown
        return client
    except (ValueError, TypeError, redis.exceptions.RedisError):
        failure = ConfigurationError(
            f"{name}: this is no URL of an engine: it begins with redis://, rediss:// or unix://, and special"
            " characters of a password are percent-encoded"
        )
    raise failure  # out here: the parser's error may quote the password


def _exceptions_of(client: object) -> ModuleType:
    """The module with the exceptions of a client: redis-py's, or valkey-py's, which has the same names."""
    packages = {kind.__module__.partition(".")[0] for kind in type(client).__mro__}
    if "redis" not in packages and "valkey" in packages:
        return sys.modules["valkey.exceptions"]
    if "redis" in packages:
        return redis.exceptions
    raise TypeError(
        f"engine is a URL, a redis.asyncio.Redis or a valkey.asyncio.Valkey, not a {type(client).__name__}"
    )


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def as_text(value: str | bytes) -> str:
    """A text of a reply: borrowed clients may decode by themselves or not."""
    return value.decode() if isinstance(value, bytes) else value


def _parsed(info: object) -> dict[str, str]:
    if isinstance(info, dict):
        return {str(key): str(value) for key, value in info.items()}
    return dict(_pairs(as_text(info))) if isinstance(info, str | bytes) else {}


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, found, value = line.partition(":")
        if found:
            yield name, value


def _facts(info: dict[str, str], *, persistent: bool | None) -> EngineFacts:
    product = "Valkey" if "valkey_version" in info else "Redis"
    return EngineFacts(
        product=product,
        version=info.get("valkey_version") or info.get("redis_version", ""),
        policy=info.get("maxmemory_policy", ""),
        max_memory=int(info.get("maxmemory", "0")),
        persistent=persistent,
    )


def _check(facts: EngineFacts, info: dict[str, str], name: str) -> None:
    """ConfigurationError for an engine that can't be relied on."""
    if info.get("redis_mode") == "cluster":
        raise ConfigurationError(f"{name}: {IS_A_CLUSTER}")
    version = tuple(int(part) for part in facts.version.split(".")[:2] if part.isdecimal())
    if facts.product == "Redis" and version < OLDEST:
        raise ConfigurationError(
            f"{name}: Redis {facts.version or 'of an unknown version'} is too old: {OLDEST[0]}.{OLDEST[1]} or"
            " newer is needed, or any Valkey"
        )
    if facts.policy not in {"", "noeviction"}:
        raise ConfigurationError(
            f"{name}: its maxmemory-policy is {facts.policy}, so it may drop what members share without a"
            " word: set it to noeviction, or use another instance"
        )
