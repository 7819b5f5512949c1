"""A server with negligible cost: prebuilt bytes by path, in its own process.

Run as a script, it reads its responses from stdin, writes its port to stdout and serves until stdin ends, so
that it never outlives its parent.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class _Answering(asyncio.Protocol):
    """One connection: keep-alive, GET without a body, no pipelining."""

    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = answers
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        request = self._request + data
        if not request.endswith(b"\r\n\r\n"):
            self._request = request
            return
        self._request = b""
        target = request[4 : request.index(b" ", 4)]
        self._transport.write(self._answers.get(target, _NOT_FOUND))


@contextmanager
def serving(answers: Mapping[str, bytes]) -> Iterator[str]:
    """Serve `answers` (whole responses by request target) while the block runs; yields the origin."""
    process = subprocess.Popen(  # noqa: S603  # ourselves
        [sys.executable, "-P", str(Path(__file__).resolve())], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        packed = msgspec.msgpack.encode({target.encode(): answer for target, answer in answers.items()})
        process.stdin.write(len(packed).to_bytes(8, "big") + packed)
        process.stdin.flush()
        port = process.stdout.readline().strip().decode()
        if not port:
            raise RuntimeError("the server did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def _main(stdin: IO[bytes]) -> None:
    size = int.from_bytes(stdin.read(8), "big")
    answers = msgspec.msgpack.decode(stdin.read(size), type=dict[bytes, bytes])

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Answering(answers), "127.0.0.1", 0, backlog=512)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, stdin.read)
        server.close()

    asyncio.run(serve())


if __name__ == "__main__":
    _main(sys.stdin.buffer)
