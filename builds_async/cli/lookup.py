"""Finds the Workers and builds that command-line arguments name, and the names of Workers."""

import asyncio
import re
from collections.abc import Coroutine, Iterable
from math import inf
from types import TracebackType
from typing import Self, TypeVar

from builds_async import Build, BuildsClient, BuildsError
from builds_async.cli.exits import CommandError
from builds_async.session.ids import is_tag

T = TypeVar("T")

_BEST_EFFORT_SECONDS = 5.0
_NAME_DELAY = 0.5

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_build_uuid(word: str) -> bool:
    """Whether the word is a build UUID. The name or tag of a Worker never is."""
    return _UUID.fullmatch(word) is not None


def find_build(word: str) -> str:
    """The word as the UUID of a build; CommandError if it is not a UUID."""
    if not is_build_uuid(word):
        raise CommandError(
            f"{word!r} is not a build UUID such as 8b2c1f0e-5a3d-4f6b-9c7e-1d2a3b4c5d6e;"
            " `builds-async list WORKER` shows the builds of a Worker"
        )
    return word.lower()


async def find_workers(client: BuildsClient, words: Iterable[str]) -> dict[str, str]:
    """The Workers that the words name: the word by tag, and the name if a Worker is given both ways.

    NotFoundError, raised by `client.workers.tags`, for an unknown name.
    """
    tags = await client.workers.tags(_checked_worker(word) for word in words)
    by_tag_first = sorted(tags.items(), key=lambda pair: pair[0] == pair[1], reverse=True)
    return {tag: word for word, tag in by_tag_first}  # tags first, so that a name replaces its tag


async def find_worker(client: BuildsClient, word: str) -> str:
    """The tag of the Worker that the word names."""
    return (await client.workers.tags([_checked_worker(word)]))[word]


async def find_names(client: BuildsClient, words: Iterable[str]) -> tuple[str, ...]:
    """The names of the Workers that the words mean, each once. Names are taken as they are.

    Tags are looked up in the list of Workers. A word that looks like a tag and is none may still be a name.
    """
    checked = [_checked_worker(word) for word in words]
    known = await all_workers(client) if any(map(is_tag, checked)) else {}
    return tuple(dict.fromkeys(known.get(word.lower(), word) for word in checked))


def _checked_worker(word: str) -> str:
    if is_build_uuid(word):
        raise CommandError(
            f"{word} is the UUID of a build, but the name or tag of a Worker is expected;"
            f" `builds-async show {word}` shows the Worker of a build"
        )
    return word


async def all_workers(client: BuildsClient) -> dict[str, str]:
    """The names of all Workers of the account by tag, sorted by name."""
    return dict(sorted((await client.workers.names()).items(), key=lambda pair: pair[1]))


async def best_effort(work: Coroutine[object, object, T], seconds: float = inf) -> T | None:
    """The result of optional work, such as a name or a reason; None after a timeout or a BuildsError.

    The timeout is 5 s, or `seconds` if that is less.
    """
    try:
        async with asyncio.timeout(min(seconds, _BEST_EFFORT_SECONDS)):
            return await work
    except (BuildsError, TimeoutError):
        return None


async def name_of(client: BuildsClient, build: Build) -> str | None:
    """The name of a build's Worker; None if the lookup fails or takes longer than 5 s."""
    tag = build.trigger and build.trigger.external_script_id
    return ((await best_effort(all_workers(client))) or {}).get(tag) if tag else None


class WorkerNames:
    """Looks up the names of Workers by tag, in the background while the context is open.

    The lookup is a best effort, and delays the command by at most half a second. With `wanted` False it never
    starts.
    """

    def __init__(self, client: BuildsClient, *, wanted: bool = True) -> None:
        self._client = client if wanted else None
        self._task: asyncio.Task[dict[str, str] | None] | None = None
        self._deadline = 0.0

    async def __aenter__(self) -> Self:
        if self._client is not None:
            self._task = asyncio.ensure_future(best_effort(all_workers(self._client)))
            self._deadline = asyncio.get_running_loop().time() + _NAME_DELAY
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def settle(self) -> None:
        """Wait until the names are known, at most until half a second after the start."""
        left = self._deadline - asyncio.get_running_loop().time()
        if self._task is not None and not self._task.done() and left > 0:
            await asyncio.wait((self._task,), timeout=left)

    def of(self, tag: str | None) -> str | None:
        """The name of a Worker; None if it is unknown or not known yet."""
        if tag is None or self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return (self._task.result() or {}).get(tag)
