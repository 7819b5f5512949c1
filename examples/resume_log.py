"""Follow a log and save the position in a file, so that a restarted process resumes there.

python examples/resume_log.py BUILD_UUID POSITION_FILE
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from builds_async import BuildsClient, LogPosition


def load(file: Path) -> LogPosition:
    return msgspec.json.decode(file.read_bytes(), type=LogPosition) if file.exists() else LogPosition()


def save(file: Path, position: LogPosition) -> None:
    new = file.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(position))
    new.replace(file)  # atomic: after a kill, the file has the old position or the new one


async def main(build_uuid: str, file: Path) -> None:
    async with BuildsClient() as client:  # CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID
        log = client.follow(build_uuid, start=load(file))
        async for line in log:
            print(line.text, flush=True)
            save(file, log.position)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
