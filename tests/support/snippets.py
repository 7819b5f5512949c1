"""The code blocks of a Markdown page, and how to run them."""

import ast
import asyncio
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ENDLESS = "endless"
_BLOCK = re.compile(
    r"^(?:<!-- test: (?P<mark>[\w./]+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


class Snippet(NamedTuple):
    """A fenced code block. An endless one contains a loop that never ends by itself."""

    page: Path
    line: int
    language: str
    code: str
    endless: bool


def snippets(page: Path, language: str) -> list[Snippet]:
    """The blocks of a page in this language, in order.

    A mark before a block replaces its language: `<!-- test: pytest -->` for a file of tests, or `<!-- test:
    examples/x.py -->` for a program. `<!-- test: endless -->` does not.
    """
    text = page.read_text("utf-8")
    return [
        Snippet(
            page,
            text.count("\n", 0, found.start("code")),
            found["language"],
            found["code"],
            found["mark"] == ENDLESS,
        )
        for found in _BLOCK.finditer(text)
        if (found["language"] if found["mark"] in {None, ENDLESS} else found["mark"]) == language
    ]


def program(page: Path, name: str) -> ModuleType:
    """The program `examples/<name>.py` as a module, from the page that shows it."""
    [snippet] = snippets(page, f"examples/{name}.py")
    module = ModuleType(name)
    padded = "\n" * snippet.line + snippet.code  # so that a traceback shows the page's own lines
    exec(compile(padded, str(page), "exec"), module.__dict__)  # noqa: S102
    return module


async def run(snippet: Snippet, names: dict[str, object]) -> None:
    """Execute a block with top-level `await`, and then the tests that it defines."""
    before = set(names)
    padded = "\n" * snippet.line + snippet.code  # so that a traceback shows the page's own lines
    code = compile(padded, str(snippet.page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)  # noqa: S307
    if inspect.isawaitable(result):
        await result
    for name in names.keys() - before:
        if name.startswith("test_"):
            test = names[name]
            assert inspect.iscoroutinefunction(test)
            await test()


async def run_until(snippet: Snippet, names: dict[str, object], seen: asyncio.Event) -> None:
    """Execute an endless block until `seen` is set. It must not end otherwise."""
    block, stop = asyncio.create_task(run(snippet, names)), asyncio.create_task(seen.wait())
    await asyncio.wait({block, stop}, return_when=asyncio.FIRST_COMPLETED)
    ended = block.done()
    for task in (block, stop):
        task.cancel()
    await asyncio.wait({block, stop})
    if ended:
        block.result()
        raise AssertionError("a block that is marked as endless has ended")
