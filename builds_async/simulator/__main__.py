"""`python -m builds_async.simulator`: a simulated account with a few builds, until Ctrl-C or SIGTERM."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from builds_async.models.builds import BuildOutcome
from builds_async.simulator import BuildsSimulator, build_script

_MINUTES = 10
_LINES_PER_SECOND = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m builds_async.simulator", description="A simulated Workers Builds."
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_serve(options.host, options.port))
    except (OSError, OverflowError, ValueError) as error:
        sys.stderr.write(f"builds_async.simulator: {error}\n")
        return 1
    except KeyboardInterrupt:  # before, or in place of, the signal handlers
        pass
    return 0


async def _serve(host: str, port: int) -> None:
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: KeyboardInterrupt does it there
            loop.add_signal_handler(number, interrupted.set)
    sim = BuildsSimulator()
    await sim.start(host, port)
    try:
        sys.stdout.write(_introduction(sim))
        sys.stdout.flush()
        await interrupted.wait()
    finally:
        await sim.stop()


def _introduction(sim: BuildsSimulator) -> str:
    tag = sim.add_worker("shop")
    finished = sim.add_finished_build(200, external_script_id=tag)
    failed = sim.add_finished_build(
        ["npm error code 1", "Failed: error occurred while running build command"],
        BuildOutcome.FAIL,
        age=600.0,
        external_script_id=sim.add_worker("blog"),
    )
    script = build_script(int(_MINUTES * 60 * _LINES_PER_SECOND), rate=_LINES_PER_SECOND)
    running = sim.add_build(script, external_script_id=tag)
    return "\n".join(
        (
            f"export CLOUDFLARE_BASE_URL={sim.url}",
            f"export CLOUDFLARE_ACCOUNT_ID={sim.account_id}",
            f"export CLOUDFLARE_API_TOKEN={sim.api_token}",
            f"# finished: build {finished.build_uuid} of Worker {finished.external_script_id}",
            f"# failed:   build {failed.build_uuid} of Worker {failed.external_script_id}",
            f"# running:  build {running.build_uuid} of Worker {running.external_script_id}",
            f"# (it runs for {_MINUTES} minutes; Ctrl-C stops the server)",
            "",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
