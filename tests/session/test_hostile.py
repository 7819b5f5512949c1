"""A response crafted to exhaust memory or block the event loop has a bounded cost."""

import asyncio
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec
import pytest

from builds_async import (
    APIError,
    BuildsClient,
    BuildsError,
    InternalServerError,
    ResponseDecodeError,
    RetryPolicy,
)
from builds_async.models.builds import Build
from builds_async.models.envelope import Envelope
from builds_async.models.lenient_json import first_items
from builds_async.models.reason import failure_reason
from builds_async.models.scalars import date_in, number_in
from builds_async.session import decode
from builds_async.session.aiohttp_transport import MAX_BODY, MAX_REFUSAL
from builds_async.session.headers import allowances, ray_id, retry_after
from builds_async.session.redact import redact
from builds_async.session.transport import Response
from tests.support import ACCOUNT, BUILD_UUID, TOKEN, Exchange, RawServer, answer, head, settle
from tests.support.case import cases
from tests.support.reading import read

MIB = 2**20
START = b'{"success":true,"result":'
BUILDS = msgspec.json.Decoder(Envelope[tuple[Build, ...]])


def listed(unit: bytes, size: int, *, name: bytes = b'"success":true,"result"') -> bytes:
    """A response with a list that repeats one item."""
    return b"{" + name + b":[" + unit * (size // len(unit)) + unit[:-1] + b"]}"


def packed(body: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(body) + packer.flush()


ERRORS = b'"success":false,"errors"'
BODIES: dict[str, tuple[int, Callable[[], bytes]]] = {
    "errors of a refusal": (400, lambda: listed(b"{},", 40 * MIB, name=ERRORS)),
    "errors of a success that says no": (200, lambda: listed(b"{},", 40 * MIB, name=ERRORS)),
    "lists for errors": (200, lambda: listed(b"[],", 40 * MIB, name=ERRORS)),
    "errors in an error": (200, lambda: listed(b"[{}],", 40 * MIB, name=ERRORS)),
    "numbers for builds": (200, lambda: listed(b"0,", 40 * MIB)),
    "numbers for builds, below the bound": (200, lambda: listed(b"0,", 400_000)),
    "odd builds": (200, lambda: listed(b'{"build_uuid":"ab","created_on":5},', 15 * MIB)),
    "tiny builds": (200, lambda: listed(b'{"build_uuid":"ab"},', 60 * MIB)),
    "escapes without an end": (200, lambda: START + b'"' + b"\\n" * (20 * MIB)),
    "lone surrogates": (200, lambda: listed(b'"\\ud800",', 15 * MIB)),
    "bytes that are no text": (200, lambda: START + b'"' + b"\xff" * (40 * MIB)),
    "wide text with bytes that are none": (200, lambda: "\U0001f600".encode() + b"\xff" + b"a" * 40 * MIB),
    "nested": (200, lambda: START + b"[" * 5_000_000),
    "page": (502, lambda: b"<style " * 200_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
def test_memory(name: str) -> None:
    """Decoding a body takes bounded memory, however much is packed into it."""
    status, make = BODIES[name]
    answered = Response(status, {}, make())
    tracemalloc.start()
    try:
        with suppress(BuildsError):
            read(answered, BUILDS, secrets=[TOKEN])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150 * MIB


async def longest_stall(work: asyncio.Task[None]) -> float:
    """The longest time for which the event loop was blocked before the work was done."""
    longest, last = 0.0, time.monotonic()
    while not work.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return longest


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
async def test_stall(name: str) -> None:
    """The event loop, where a timeout can't fire while it is blocked, is never blocked for long."""
    status, make = BODIES[name]
    reply = answer(packed(make()), status=status, headers={"Content-Encoding": "gzip"})

    async def call(client: BuildsClient) -> None:
        with suppress(BuildsError):
            await client.builds.list("0" * 32)

    async with (
        RawServer(reply) as server,
        BuildsClient(
            account_id=ACCOUNT, api_token=TOKEN, base_url=server.url, retry=RetryPolicy(attempts=1)
        ) as client,
    ):
        work = asyncio.create_task(call(client))
        stall = await longest_stall(work)
        await work
    assert stall < 4  # a fraction of a second on an idle machine; without the bounds, up to 20


async def test_refusal_is_read_to_its_bound() -> None:
    """An endless error body is dropped at its smaller limit, and the error keeps its kind."""
    sent = 0

    async def endless(exchange: Exchange) -> None:
        nonlocal sent
        exchange.writer.write(head(502, {"Transfer-Encoding": "chunked", "cf-ray": "8a1-AMS"}))
        chunk = b"%x\r\n%s\r\n" % (MIB // 4, b"x" * (MIB // 4))
        while True:
            exchange.writer.write(chunk)
            await exchange.writer.drain()
            sent += 1

    async with (
        RawServer(endless) as server,
        BuildsClient(
            account_id=ACCOUNT, api_token=TOKEN, base_url=server.url, retry=RetryPolicy(attempts=1)
        ) as client,
    ):
        with pytest.raises(InternalServerError, match="starts with 'xxx") as caught:
            await client.builds.get(BUILD_UUID)
        await settle()
    assert (caught.value.status, caught.value.ray_id) == (502, "8a1-AMS")
    assert sent < 40


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "packed"])
async def test_large_refusal(announced: bool) -> None:
    """An error body larger than its limit keeps its status and the start of its text."""
    body = b"<p>busy</p>" + b" " * (4 * MAX_REFUSAL)
    headers = {} if announced else {"Content-Encoding": "gzip"}
    reply = answer(body if announced else packed(body), status=503, headers=headers)
    async with (
        RawServer(reply, answer(b"{}", status=404)) as server,
        BuildsClient(
            account_id=ACCOUNT, api_token=TOKEN, base_url=server.url, retry=RetryPolicy(attempts=1)
        ) as client,
    ):
        with pytest.raises(InternalServerError, match="busy"):
            await client.builds.get(BUILD_UUID)
        with pytest.raises(APIError, match="404"):
            await client.builds.get(BUILD_UUID)


def test_first_errors_are_kept() -> None:
    """Only the first entries of `errors` are kept, and a huge entry ends the list early."""
    entries = [{"code": number, "message": "m"} for number in range(1000)]
    body = msgspec.json.encode({"success": False, "errors": entries})
    with pytest.raises(APIError) as caught:
        read(Response(400, {}, body), BUILDS)
    assert caught.value.codes == tuple(range(20))
    body = msgspec.json.encode({"success": False, "errors": [entries[7], {"message": "x" * MIB}, entries[8]]})
    with pytest.raises(APIError) as caught:
        read(Response(400, {}, body), BUILDS)
    assert caught.value.codes == (7,)


@cases(
    ("text", "items"),
    [
        (b"[]", []),
        (b"null", []),
        (b'{"a": 1}', []),
        (b"", []),
        (b" [ 1 , 2 ] ", [1, 2]),
        (b"[1,,2]", [1]),
        (b"[1 2]", [1]),
        (b"[1,[2],[3,", [1, [2]]),
        (b'["\xff", "\\ud800", 5]', ["\ufffd", "\ufffd", 5]),
        (b"[1," + b"[" * 50_000, [1]),
    ],
    ids=["empty", "null", "object", "nothing", "spaces", "gap", "no comma", "cut", "odd bytes", "nested"],
)
def test_first_items(text: bytes, items: list[object]) -> None:
    """The items of a truncated array are those that are complete."""
    assert first_items(text, 9) == items


def test_no_part_of_a_secret_at_the_cut() -> None:
    """Truncation before redaction leaves no part of a secret at the cut."""
    for shift in range(0, 4 * len(TOKEN), 7):
        body = b" " * shift + TOKEN.encode() * 10_000
        with pytest.raises(APIError) as caught:
            read(Response(500, {}, body), BUILDS, secrets=[TOKEN])
        assert TOKEN[:6] not in str(caught.value)


def reasons(text: str) -> object:
    return failure_reason([text])


def reasons_of_lines(text: str) -> object:
    return failure_reason(["Error:", *text.split("\n")])


def refused(text: str) -> object:
    with pytest.raises(BuildsError) as caught:
        read(Response(500, {}, text.encode()), BUILDS, secrets=["token", TOKEN])
    return caught


def headed(name: str) -> Callable[[str], object]:
    return lambda text: (allowances if name == "Ratelimit" else retry_after)({name: text, "Date": text})


def policies(text: str) -> object:
    return allowances({"Ratelimit": '"a";r=1;t=1', "Ratelimit-Policy": text})


def redacted(text: str) -> object:
    return redact(f"{text}token", ["token", TOKEN])


LOOKS: dict[str, tuple[Callable[[str], object], Iterable[str]]] = {
    "reason": (
        reasons,
        (
            "\x1b[", "\x1b[0", "\x1b[ ", "\x1b]", "a", "Error", "Error ", "Error[", "Error[a", "✘ ", "a:",
        ),
    ),
    "reason of lines": (reasons_of_lines, ("x:\n", "Error:\n", "npm error \n", ":\n")),
    "Ratelimit": (
        headed("Ratelimit"),
        ('"', '"a', '"\\', "\\", '"";', '"a";r=1', ";r=", '"a";r=1;t=1,', " ", '"a"; ', "1", '";r=1.'),
    ),
    "Ratelimit-Policy": (policies, ('"', '"a";q=', '"\\"', "; ", '"a";q=1;w=1,', '";q=1.1')),
    "Retry-After": (headed("Retry-After"), ("9", " ", "Mon, ", "1:", "-", "(", "e")),
    "body of a refusal": (refused, ("<style ", "<script", "</style>", "token ", "token:", "key=", " ")),
    "redaction": (redacted, ("token ", "token:", "bearer", " ", "key%20", '"', "secret = ")),
    "ray": (lambda text: ray_id({"cf-ray": text}), ("a", "a-", "-")),
    "number": (number_in, ("1", " ", "1.", "+", ".")),
    "date": (date_in, ("1", " ", "2026-", "T", "+", ":")),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("look", "unit"),
    [
        pytest.param(look, unit, id=f"{name}-{unit!r}")
        for name, (look, units) in LOOKS.items()
        for unit in units
    ],
)
def test_linear(look: Callable[[str], object], unit: str) -> None:
    """Repetitive text takes linear time: eight times the text takes about eight times as long."""

    def seconds(size: int) -> float:
        text, best = unit * (size // len(unit)) + "!", 9.0
        for _ in range(3):
            began = time.process_time()
            look(text)
            best = min(best, time.process_time() - began)
        return best

    # Quadratic time would be a factor of 64. The floor keeps timer noise out.
    assert seconds(64_000) < 24 * max(seconds(8_000), 0.0005)


def test_bounds() -> None:
    """The size limits of an error body and of the second decode are far below that of a success."""
    assert MAX_REFUSAL * 16 <= decode.LARGEST * 4 <= MAX_BODY


@pytest.mark.slow
async def test_large_response_of_few_objects_is_read() -> None:
    """A large response is rejected for its number of objects, not for its size."""
    body = msgspec.json.encode({"success": True, "result": [{"build_uuid": "x" * MIB}] * 20})
    assert len(read(Response(200, {}, body), BUILDS).result) == 20
    with pytest.raises(ResponseDecodeError, match="more than 1000000 objects"):
        read(Response(200, {}, listed(b'{"build_uuid":"a"},', 30 * MIB)), BUILDS)
