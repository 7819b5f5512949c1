"""Make the pictures of README and docs from real runs: `nox -s pictures`.

The command runs against a simulated account, and the SVGs show what it printed. The PNG is the dashboard in a
headless Chromium.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from builds_async import BuildOutcome, BuildStatus
from builds_async.simulator import BuildsSimulator
from tests.cli.terminals import running_on_terminal
from tests.support.browser import CHROMIUM, chromium, connected

HERE = Path(__file__).parent
PICTURES = HERE / "_static"
COLUMNS = 100
WEB_FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)  # a picture in a page may load nothing

COMMITS = {
    "shop": "Show prices with tax",
    "blog": "Load fonts from our own host",
    "api": "Return 429 with Retry-After",
    "docs": "Explain rollbacks",
    "auth": "Rotate session keys daily",
    "search": "Index titles first",
}
OUTPUT = {
    "shop": [
        "Cloning repository...",
        "Installing project dependencies: npm clean-install",
        "vite v7.1.4 building for production...",
        "✓ 214 modules transformed.",
        "Success: Build command completed",
        "Success! Build completed.",
    ],
    "blog": [
        "Cloning repository...",
        "astro v5.13.2: generating static routes",
        "✓ 48 pages built in 2.31s",
        "Success! Build completed.",
    ],
    "api": [
        "Cloning repository...",
        "> tsc --noEmit",
        "src/limits.ts(41,7): error TS2322: Type 'null' is not assignable to type 'number'",
        "Failed: error occurred while running build command",
    ],
}


def add_account(sim: BuildsSimulator) -> None:
    """Give each Worker a history, and let three of them build now."""
    for number, (name, message) in enumerate(COMMITS.items()):
        tag = sim.add_worker(name)
        outcome = BuildOutcome.CANCELLED if name == "auth" else BuildOutcome.SUCCESS
        commit = f"{number + 11:02x}c0ffee" * 5
        sim.add_finished_build(
            5,
            outcome,
            age=1800.0 * (number + 1),
            external_script_id=tag,
            commit_message=message,
            commit_hash=commit,
        )
    for number, (name, lines) in enumerate(OUTPUT.items()):
        begin = 1.0 + number / 4
        script = [(begin + pause, line) for pause, line in enumerate(lines)]
        end = begin + len(lines)
        outcome = BuildOutcome.FAIL if name == "api" else BuildOutcome.SUCCESS
        sim.add_build(
            [(begin, BuildStatus.RUNNING), *script, (end, outcome)],
            external_script_id=sim.workers[name],
            commit_message=COMMITS[name],
            commit_hash=f"{number + 1:02x}badcab" * 5,
        )


async def recorded(sim: BuildsSimulator, words: Iterable[str], seconds: float | None = None) -> str:
    """What the command prints, in color; Ctrl-C after some seconds if it does not end by itself."""
    environ = {
        **os.environ,
        **sim.environ,
        "FORCE_COLOR": "1",
        "COLUMNS": str(COLUMNS),
        "TERM": "xterm-256color",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "builds_async", *words), stdout=asyncio.subprocess.PIPE, env=environ
    )
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, process.send_signal, signal.SIGINT)
    output, _ = await process.communicate()
    return output.decode().rstrip()


def on_terminal(sim: BuildsSimulator, words: Iterable[str]) -> str:
    """What the command shows on a terminal, in color."""
    command = [sys.executable, "-m", "builds_async", *words]
    with running_on_terminal(command, sim.environ, columns=COLUMNS) as terminal:
        terminal.end()
    return terminal.output.replace("\r\n", "\n").rstrip()


def draw(name: str, line: str, output: str) -> None:
    """A terminal with a command line and its output, as an SVG."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "dim"), (line, "bold")))
    console.print(Text.from_ansi(output), soft_wrap=False, no_wrap=True, crop=True)
    svg = console.export_svg(title="builds-async", theme=MONOKAI, unique_id=name)
    svg = "\n".join(row.rstrip() for row in WEB_FONT.sub("", svg).splitlines()) + "\n"
    (PICTURES / f"{name}.svg").write_text(svg, "utf-8")


@asynccontextmanager
async def dashboard(sim: BuildsSimulator) -> AsyncIterator[str]:
    """The address of the page, while it is served."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "builds_async", "dashboard", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **sim.environ},
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().split()[3]
    finally:
        process.send_signal(signal.SIGINT)
        await process.wait()


async def photograph(url: str) -> None:
    """The dashboard, with the log of a build that failed."""
    with chromium() as address:
        async with connected(address) as browser:
            page = await browser.open(url)
            await page.call(
                "Emulation.setDeviceMetricsOverride",
                width=1000,
                height=560,
                deviceScaleFactor=1,
                mobile=False,
            )
            await page.until(f"document.querySelectorAll('tbody tr').length === {len(COMMITS)}")
            await page.evaluate(
                "[...document.querySelectorAll('tr')].find(it => /api/.test(it.textContent))"
                ".querySelector('a.open').click()"
            )
            await page.until("document.querySelector('#log-end').hidden", expected=False)
            await page.screenshot(PICTURES / "dashboard.png")


async def main() -> int:
    """Make all pictures; exit code 1 if one could not be made."""
    PICTURES.mkdir(exist_ok=True)
    async with BuildsSimulator(seed=5) as sim:
        add_account(sim)
        draw("tail", "builds-async tail shop blog api", await recorded(sim, ["tail", *OUTPUT], seconds=10))
        draw("status", "builds-async status", await asyncio.to_thread(on_terminal, sim, ["status"]))
        if CHROMIUM is None:
            print("There is no Chromium on this machine: dashboard.png stays as it is.")
            return 1
        async with dashboard(sim) as url:
            await photograph(url)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
