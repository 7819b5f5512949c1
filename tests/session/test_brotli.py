"""Brotli, the densest encoding: aiohttp accepts it when the package is installed."""

import tracemalloc

import brotli  # type: ignore[import-untyped]  # it has no stubs
import pytest

from builds_async import BuildsClient, BuildsConnectionError, ResponseDecodeError, RetryPolicy
from tests.support import ACCOUNT, TOKEN, RawServer, answer

pytestmark = pytest.mark.slow

MIB = 2**20


async def test_bomb_is_refused_before_it_is_unpacked() -> None:
    """A bomb of half a gigabyte costs no more memory than the largest body that is read."""
    packer = brotli.Compressor(quality=5, lgwin=24)
    packed = b"".join(packer.process(bytes(MIB)) for _ in range(512)) + packer.finish()
    assert len(packed) < 10_000
    reply = answer(packed, headers={"Content-Encoding": "br"})
    async with RawServer(reply) as server:
        client = BuildsClient(
            account_id=ACCOUNT, api_token=TOKEN, base_url=server.url, retry=RetryPolicy(attempts=1)
        )
        async with client:
            tracemalloc.start()
            try:
                # aiohttp 3.13 rejects the size itself; later versions unpack piece by piece.
                with pytest.raises(
                    (ResponseDecodeError, BuildsConnectionError), match=r"exceeds|larger than"
                ):
                    await client.builds.get("some")
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
    assert peak < 200 * MIB
