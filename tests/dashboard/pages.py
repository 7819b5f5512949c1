"""JavaScript expressions that inspect and operate the page of the dashboard."""

import json

from tests.support.browser import Page

LINES = """[...document.querySelectorAll("#log .text")].map(it => it.textContent)"""
"""The lines in view."""

END = """document.querySelector("#log-end").textContent"""

AT_END = """(() => {
    const [view, last] = [document.querySelector("#log").getBoundingClientRect(),
                          document.querySelector("#log-rows").lastElementChild.getBoundingClientRect()];
    return last.bottom <= view.bottom + 1 && last.top >= view.top - 1;
})()"""
"""Whether the last row of the log is fully in view."""

PHASE = """document.querySelector("#panel").dataset.phase"""


ROWS = """document.querySelectorAll("#worker-rows > .entry:not([hidden])")"""
"""The visible rows of the list."""

TABLE = f"""[...{ROWS}].map(row =>
    [...row.querySelectorAll(".name, .state, .branch, .message")].map(it => it.textContent))"""
"""Worker, state, branch and message of each visible row."""

SHOWN = f"""[...{ROWS}].map(row => row.querySelector(".name").textContent)"""
"""The Worker of each visible row."""

NONE = "\N{EN DASH}"


def row(worker: str, state: str, branch: str = "main", message: str = "Update the Worker") -> list[str]:
    """A row as returned by `TABLE`."""
    return [worker, state, branch, message]


def text(selector: str) -> str:
    """The visible text of an element, or null if it is hidden."""
    element = f"document.querySelector({json.dumps(selector)})"
    return f"({element}.checkVisibility() ? {element}.textContent.trim() : null)"


def href(selector: str) -> str:
    """The target of a visible link, or null if it has none."""
    element = f"document.querySelector({json.dumps(selector)})"
    return f"({element}.checkVisibility() ? {element}.getAttribute('href') : null)"


def click(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)}).click()"


def press(key: str, *, shift: bool = False) -> str:
    options = json.dumps({"key": key, "shiftKey": shift, "bubbles": True, "cancelable": True})
    return f"document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {options}))"


def type_into(selector: str, value: str) -> str:
    return (
        f"(() => {{ const it = document.querySelector({json.dumps(selector)}); it.focus();"
        f"it.value = {json.dumps(value)}; it.dispatchEvent(new Event('input')); }})()"
    )


async def scroll_to(page: Page, top: int) -> None:
    """Scroll the log as a reader does."""
    await page.evaluate(f"document.querySelector('#log').scrollTop = {top}")


async def refused(page: Page, code: str) -> bool:
    """Whether the page's policy blocks this code."""
    return bool(await page.evaluate(f"(() => {{ try {{ {code} }} catch {{ return true }} }})()"))
