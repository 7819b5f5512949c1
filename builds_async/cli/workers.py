"""Workers as people name them."""

import asyncio
import re
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from builds_async import Build, BuildsClient
from builds_async.cli.exits import CommandError
from builds_async.cli.help_work import help_work

_MOMENT = 0.5

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_build_uuid(word: str) -> bool:
    """Whether the word is the UUID of a build, and so no name or tag of a Worker."""
    return _UUID.fullmatch(word) is not None


def checked_build(word: str) -> str:
    """The UUID of a build; CommandError if the word is none."""
    if not is_build_uuid(word):
        raise CommandError(
            f"{word!r} is no build UUID, which looks like 8b2c1f0e-5a3d-4f6b-9c7e-1d2a3b4c5d6e;"
            " `builds-async list WORKER` shows those of a Worker"
        )
    return word.lower()


async def find_workers(client: BuildsClient, words: Iterable[str]) -> dict[str, str]:
    """The Workers that the words mean: by its tag, the word for each, a name where there is one.

    Raises what `client.workers.tags` raises: an unknown name is a NotFoundError.
    """
    tags = await client.workers.tags(_checked_worker(word) for word in words)
    by_tag_first = sorted(tags.items(), key=lambda pair: pair[0] == pair[1], reverse=True)
    return {tag: word for word, tag in by_tag_first}


async def find_worker(client: BuildsClient, word: str) -> str:
    """The tag of the one Worker that the word means."""
    return (await client.workers.tags([_checked_worker(word)]))[word]


async def all_workers(client: BuildsClient) -> dict[str, str]:
    """All Workers of the account: their names by tag, in the order of the names."""
    scripts = sorted(await client.workers.list(), key=lambda script: script.id)
    return {script.tag: script.id for script in scripts if script.tag}


class WorkerNames:
    """The names of Workers by tag, looked up while other work goes on: enter it, then ask it.

    A name is help: it is looked for during 5 s at most, no error comes of it, and nothing waits for it longer
    than half a second from the start. With `wanted` False no name is looked for.
    """

    def __init__(self, client: BuildsClient, *, wanted: bool = True) -> None:
        self._client = client if wanted else None
        self._task: asyncio.Task[dict[str, str] | None] | None = None
        self._waited_for = 0.0

    async def __aenter__(self) -> Self:
        if self._client is not None:
            self._task = asyncio.ensure_future(help_work(all_workers(self._client)))
            self._waited_for = asyncio.get_running_loop().time() + _MOMENT
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def settle(self) -> None:
        """Wait until the names are there, or half a second has passed since the start."""
        left = self._waited_for - asyncio.get_running_loop().time()
        if self._task is not None and not self._task.done() and left > 0:
            await asyncio.wait((self._task,), timeout=left)

    def of(self, tag: str | None) -> str | None:
        """The name of a Worker, None if it is not known, or not yet."""
        if tag is None or self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return (self._task.result() or {}).get(tag)


async def name_of(client: BuildsClient, build: Build) -> str | None:
    """The name of the Worker of a build, if it can be had within 5 s."""
    tag = build.trigger and build.trigger.external_script_id
    return ((await help_work(all_workers(client))) or {}).get(tag) if tag else None


def _checked_worker(word: str) -> str:
    if is_build_uuid(word):
        raise CommandError(
            f"{word} is the UUID of a build, where the name or the tag of a Worker is due;"
            f" `builds-async show {word}` tells the Worker of a build"
        )
    return word
