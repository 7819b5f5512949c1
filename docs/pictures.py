"""Make the pictures of README and docs from real runs: `nox -s pictures`.

The command runs against a simulated account, and the SVGs show what it printed. The PNGs are the dashboard in
a headless Chromium.
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
from tests.support.browser import CHROMIUM, Browser, Page, chromium, connected

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
        "Executing user build command: npm run build",
        "vite v7.1.4 building for production...",
        "✓ 214 modules transformed.",
        "Success: Build command completed",
        "Success! Build completed.",
    ],
    "blog": [
        "Cloning repository...",
        "Executing user build command: astro build",
        "astro v5.13.2: generating static routes",
        "✓ 48 pages built in 2.31s",
        "Success! Build completed.",
    ],
    "api": [
        "Cloning repository...",
        "Executing user build command: npm run build",
        "> tsc --noEmit",
        "src/limits.ts(41,7): error TS2322: Type 'null' is not assignable to type 'number'",
        "Failed: error occurred while running build command",
    ],
}


FAILED = [
    "Initializing build environment...",
    "Success: Finished initializing build environment",
    "Cloning repository...",
    "Detected the following tools from environment: npm@10.9.2, nodejs@22.16.0",
    "Installing project dependencies: npm clean-install --progress=false",
    "",
    "added 412 packages in 9s",
    "Executing user build command: npm run build",
    "",
    "> api@2.1.0 build",
    "> vite build && tsc --noEmit",
    "",
    "\x1b[36mvite v7.1.4 \x1b[32mbuilding for production...\x1b[39m",
    "\x1b[32m✓\x1b[39m 214 modules transformed.",
    "\x1b[2mdist/\x1b[22m\x1b[36massets/index.js \x1b[39m\x1b[1m\x1b[2m41.20 kB\x1b[22m",
    "\x1b[91msrc/limits.ts\x1b[0m:\x1b[93m41\x1b[0m - \x1b[91merror\x1b[0m TS2322: null is no number.",
    "",
    "\x1b[7m41\x1b[0m       limit: response.headers.get('Retry-After'),",
    "\x1b[7m  \x1b[0m \x1b[91m      ~~~~~\x1b[0m",
    "",
    "Failed: error occurred while running build command",
]
PHOTOGRAPHS = {
    "dashboard": (1440, 500, "light"),
    "build-light": (1000, 560, "light"),
    "build-dark": (1000, 560, "dark"),
    "build-phone": (390, 720, "light"),
}
"""The width, height and color scheme of each picture of a build in the dashboard."""
LISTS = {
    "list-light": (1080, 470, "light"),
    "list-dark": (1080, 470, "dark"),
    "list-phone": (390, 760, "light"),
}
"""The same for pictures of its list."""
BRANCHES = ["main", "main", "main", "prices-with-tax", "main", "dependabot/npm_and_yarn/vite-7.1.4"]
MORE = ["checkout", "images", "mail", "newsletter-subscriptions", "payments", "redirects", "sitemap", "stats"]


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


def add_more_workers(sim: BuildsSimulator) -> None:
    """Fill the list: two builds for each Worker, of which some fail, run, or were canceled."""
    messages = list(COMMITS.values())
    for number, name in enumerate(MORE):
        tag = sim.add_worker(name)
        for age in (90000.0, 4000.0 * (number + 1)):
            sim.add_finished_build(
                5,
                BuildOutcome.FAIL if age < 90000 and number in {3, 4} else BuildOutcome.SUCCESS,
                age=age,
                external_script_id=tag,
                branch=BRANCHES[number % len(BRANCHES)],
                commit_message=messages[number % len(messages)],
                commit_hash=f"{number + 31:02x}5eed0f" * 5,
            )
    for name in MORE[:2]:
        sim.add_build(external_script_id=sim.workers[name], commit_message=COMMITS["shop"]).set_status(
            BuildStatus.RUNNING
        )
    sim.add_worker("experiment")


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


async def shown(browser: Browser, url: str, width: int, height: int, scheme: str) -> Page:
    """A page of this size and color scheme."""
    page = await browser.open("about:blank")
    await page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=width < height,
    )
    await page.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    await page.call("Page.navigate", url=url)
    return page


async def photograph_list(url: str) -> None:
    """The list, with the details of the Worker that failed last."""
    with chromium() as address:
        async with connected(address) as browser:
            for name, (width, height, scheme) in LISTS.items():
                page = await shown(browser, url, width, height, scheme)
                await page.until("document.querySelector('#connection')?.dataset.state", "live")
                await page.evaluate("document.querySelectorAll('.entry.built .more')[1].click()")
                await page.until("document.querySelector('.detail .badge:not([hidden])') !== null")
                await page.screenshot(PICTURES / f"{name}.png")


async def photograph(sim: BuildsSimulator, url: str) -> None:
    """A failed build: next to the list, and alone on a light page, a dark page and a phone."""
    build = sim.add_finished_build(
        FAILED,
        BuildOutcome.FAIL,
        age=60.0,
        external_script_id=sim.workers["api"],
        commit_message=COMMITS["api"],
        commit_hash="03badcab" * 5,
    )
    with chromium() as address:
        async with connected(address) as browser:
            for name, (width, height, scheme) in PHOTOGRAPHS.items():
                page = await shown(browser, f"{url}#build={build.build_uuid}", width, height, scheme)
                await page.until("document.querySelectorAll('tbody a.open:not([hidden])').length >= 6")
                await page.until("document.querySelector('#log-end').hidden", expected=False)
                await page.until("document.querySelector('#cloudflare').hidden", expected=False)
                await page.screenshot(PICTURES / f"{name}.png")


async def main() -> int:
    """Make all pictures; exit code 1 if one could not be made."""
    PICTURES.mkdir(exist_ok=True)
    async with BuildsSimulator(seed=5) as sim:
        add_account(sim)
        draw("tail", "builds-async tail shop blog api", await recorded(sim, ["tail", *OUTPUT], seconds=10))
        for name, words in {"status": ["status"], "show": ["show", "api"]}.items():
            output = await asyncio.to_thread(on_terminal, sim, words)
            draw(name, " ".join(["builds-async", *words]), output)
        if CHROMIUM is None:
            print("There is no Chromium on this machine: the pictures of the dashboard stay as they are.")
            return 1
        async with dashboard(sim) as url:
            await photograph(sim, url)
        add_more_workers(sim)
        async with dashboard(sim) as url:
            await photograph_list(url)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
