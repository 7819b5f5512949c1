"""The connection to a Redis or Valkey: checks it, runs scripts, receives messages and explains errors."""

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
"""The return value of a script: an integer, bytes or text, None, or a list of these."""

OLDEST: Final = (6, 2)
"""The oldest version of Redis that the scripts are tested on. All versions of Valkey are newer."""

TIMEOUT: Final = 1.0
"""Seconds for one call of the engine, connect included."""

_QUIET = 10.0  # seconds without a message after which a subscription sends a ping
_RETRY_EVERY = 0.5  # seconds between two attempts to subscribe


class RedisEngine:
    """A Redis or Valkey that members share.

    `engine` is a URL (`redis://`, `rediss://` for TLS, `unix://`), or a `redis.asyncio.Redis` or
    `valkey.asyncio.Valkey` of your own, which is never closed. Each method raises only `EngineError`, for a
    failure that is temporary, and `ConfigurationError`, for one that is not. Neither shows the password.
    """

    def __init__(self, engine: str | RedisClient, *, timeout: float = TIMEOUT) -> None:
        self.clock: Clock = BootClock()
        """Measures leases. It goes on while this machine is suspended, since the engine's clock does."""
        self._timeout = timeout
        self._hidden: tuple[str, ...] = ()
        self._borrowed = not isinstance(engine, str)
        self.name: str = "the engine"
        """The address of the engine without the password, for messages."""
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
        """Check once that the engine can be relied on.

        ConfigurationError if it is not a Redis or Valkey, is too old, evicts keys, or refuses the password.
        EngineError if it can't be reached; then the next call of `open` checks again.
        """
        if not self._checked:
            await self.facts()
            self._checked = True

    async def facts(self) -> EngineFacts | None:
        """Facts about the engine, checked as in `open`; None if INFO is forbidden."""
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
        fields = _parsed(info)
        facts = _facts(fields, persistent=fields.get("aof_enabled") == "1" or await self._saves())
        _check(facts, fields, self.name)
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
        """Run a script and return its reply. Its text is sent only if the engine does not know its hash."""
        values: tuple[str | bytes | int, ...] = (*keys, *args)
        return await self._execute(script, len(keys), values)

    async def listen(self, channel: str, heard: Callable[[bytes], object]) -> None:
        """Call `heard` with each message of a channel, until canceled.

        It uses a connection of its own, which may be quiet for hours, and reconnects when that is lost.
        Messages published meanwhile are lost, so their content must also be in the engine's state.
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
            await self.clock.sleep(_RETRY_EVERY)

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
                pass  # the engine is gone, and the connection with it

    async def _listen(self, channel: str, heard: Callable[[bytes], object]) -> NoReturn:
        async with self._listener.pubsub() as subscription:
            async with asyncio.timeout(self._timeout):
                await subscription.subscribe(channel)
            asked = False
            while True:
                # Without this timeout, redis-py would end a connection that is merely quiet as timed out.
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
        """Make a call, and raise our error in place of the client library's."""
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
                raise asyncio.CancelledError  # redis-py swallows a cancellation while it connects
            return reply
        # Raised out here, so that the client's error, which may show the URL, is not our error's context.
        raise failure


def _client(url: str, name: str, timeout: float, *, quiet: bool = False) -> Any:  # noqa: ANN401  # half typed
    """A client for a URL. With `quiet`, its connection may be silent without a timeout."""
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
        client.connection_pool.make_connection()  # opens nothing, but refuses an unknown option
        return client
    except (ValueError, TypeError, redis.exceptions.RedisError):
        failure = ConfigurationError(
            f"{name}: this is not the URL of an engine, which begins with redis://, rediss:// or unix://;"
            " special characters in its password must be percent-encoded"
        )
    raise failure  # out here, so that the parser's error, which may quote the password, is not its context


def _exceptions_of(client: object) -> ModuleType:
    """The module with the exceptions of a client: redis-py's, or valkey-py's, which has the same names."""
    packages = {kind.__module__.partition(".")[0] for kind in type(client).__mro__}
    if "redis" not in packages and "valkey" in packages:
        return sys.modules["valkey.exceptions"]
    if "redis" in packages:
        return redis.exceptions
    raise TypeError(
        "engine must be a URL, a redis.asyncio.Redis or a valkey.asyncio.Valkey, not a"
        f" {type(client).__name__}"
    )


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def as_text(value: str | bytes) -> str:
    """Text of a reply. A borrowed client may have decoded it already."""
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
    """Raise ConfigurationError for an engine that can't be relied on."""
    if info.get("redis_mode") == "cluster":
        raise ConfigurationError(f"{name}: {IS_A_CLUSTER}")
    if info.get("role") in {"slave", "replica"} and info.get("slave_read_only", "1") == "1":
        raise ConfigurationError(
            f"{name}: this is a read-only replica: use the address of its primary, or with Sentinel pass the"
            " client of `Sentinel.master_for`"
        )
    version = tuple(int(part) for part in facts.version.split(".")[:2] if part.isdecimal())
    if facts.product == "Redis" and version < OLDEST:
        raise ConfigurationError(
            f"{name}: Redis {facts.version or 'of an unknown version'} is too old: {OLDEST[0]}.{OLDEST[1]} or"
            " newer is needed, or any Valkey"
        )
    if facts.policy not in {"", "noeviction"}:
        raise ConfigurationError(
            f"{name}: its maxmemory-policy is {facts.policy}, so it may silently drop shared data: set it to"
            " noeviction, or use another instance"
        )
