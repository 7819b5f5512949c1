"""Finds the Workers and builds that command-line arguments name, and the names of Workers."""

import asyncio
import re
from collections.abc import Coroutine, Iterable, Mapping
from fnmatch import fnmatchcase
from math import inf
from types import TracebackType
from typing import Self, TypeVar

from builds_async import Build, BuildsClient, BuildsError
from builds_async.cli.cache import Cache
from builds_async.cli.exits import CommandError
from builds_async.session.ids import is_tag, is_uuid

T = TypeVar("T")

_BEST_EFFORT_SECONDS = 5.0
_NAME_DELAY = 0.5

_WILDCARDS = frozenset("*?[")
# At least the eight digits that commands print. The tag of a Worker, 32 digits, has no hyphen.
_DIGITS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f-]{0,27})?")


def is_build(word: str) -> bool:
    """Whether the word can only be a build: a UUID, or the first digits of one, as a command prints them.

    Eight digits can also be the name of a Worker: `find_build` decides.
    """
    return _DIGITS.fullmatch(word.lower()) is not None


async def find_build(client: BuildsClient, word: str) -> str:
    """The UUID of the build that the word names.

    The word is a UUID, the first eight or more digits of a build that a command has printed, or the name or
    tag of a Worker, which stands for its latest build. A UUID takes no request. CommandError if the digits
    mean no build or several, or if the Worker was never built; NotFoundError for an unknown Worker.
    """
    if is_uuid(word):
        return word.lower()
    if is_build(word) and (found := await _printed_build(client, word.lower())):
        return found
    return (await latest_build(client, word)).build_uuid


async def find_printed_build(client: BuildsClient, word: str) -> str | None:
    """The UUID of the build that the word names by its UUID or first digits; None if it names a Worker."""
    if is_uuid(word):
        return word.lower()
    return await _printed_build(client, word.lower()) if is_build(word) else None


async def latest_build(client: BuildsClient, worker: str) -> Build:
    """The latest build of a Worker; CommandError if there is none."""
    tag = await find_worker(client, worker)
    result = await client.builds.latest([tag])
    if tag in result.failed:
        raise result.failed[tag]
    if tag not in result.found:
        raise CommandError(f"{worker} was never built")
    return result.found[tag]


async def _printed_build(client: BuildsClient, digits: str) -> str | None:
    """The only build with these first digits: a build that was printed, else the latest of some Worker.

    None if a Worker has this name.
    """
    found = Cache.of(client).builds_starting_with(digits)
    if not found:
        workers = await all_workers(client)
        if digits in workers.values():
            return None
        latest = (await client.builds.latest(workers)).found.values()
        found = tuple(build.build_uuid for build in latest if build.build_uuid.startswith(digits))
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandError(
            f"no build that was printed lately, and no latest build of a Worker, starts with {digits}:"
            " give the whole UUID; `builds-async list WORKER` shows the builds of a Worker"
        )
    raise CommandError(f"{digits} means several builds: {', '.join(found[:3])}; give more digits")


async def find_workers(client: BuildsClient, words: Iterable[str]) -> dict[str, str]:
    """The Workers that the words name, in that order: by tag, the word that names the Worker.

    If one Worker is named both by its tag and by its name, the name counts. A word with `*`, `?` or `[` is a
    pattern for names. NotFoundError, raised by `client.workers.tags`, for an unknown name; CommandError if a
    pattern matches no name.
    """
    words = tuple(words)
    patterns = {word for word in words if _WILDCARDS.intersection(word)}
    workers = await all_workers(client) if patterns else {}
    named = [_checked_worker(word) for word in words if word not in patterns]
    tags = await client.workers.tags(named) if named else {}
    found: dict[str, str] = {}
    for word in words:
        named_here = _matching(workers, word) if word in patterns else {tags[word]: word}
        for tag, name in named_here.items():
            if found.get(tag, tag) == tag:  # a name replaces its tag
                found[tag] = name
    return found


def _matching(workers: Mapping[str, str], pattern: str) -> dict[str, str]:
    matches = {tag: name for tag, name in workers.items() if fnmatchcase(name, pattern)}
    if not matches:
        raise CommandError(f"no Worker of this account has a name like {pattern!r}")
    return matches


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
    if is_uuid(word):
        raise CommandError(
            f"{word} is the UUID of a build, but the name or tag of a Worker is expected;"
            f" `builds-async show {word}` shows the Worker of a build"
        )
    if word.startswith("cf"):
        from builds_async.session.redact import redact  # noqa: PLC0415  # slow to load, and rarely needed

        if redact(word, ()) != word:
            raise CommandError(
                "this is an API token, not a Worker: set CLOUDFLARE_API_TOKEN, or use --token-file"
            )
    return word


async def all_workers(client: BuildsClient) -> dict[str, str]:
    """The names of all Workers of the account by tag, sorted by name. Remembered for completion."""
    names = dict(sorted((await client.workers.names()).items(), key=lambda pair: pair[1]))
    Cache.of(client).set_workers(names.values())
    return names


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

    The lookup is a best effort, and delays the command by at most half a second, or 5 s if it is `needed`.
    With `wanted` False it never starts. With the `names` of all Workers, it starts only for a Worker that is
    not among them, and so is new.
    """

    def __init__(
        self,
        client: BuildsClient,
        *,
        wanted: bool = True,
        needed: bool = False,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client if wanted else None
        self._names: Mapping[str, str] = names or {}
        self._looked_up: set[str] | None = None if names is None else set()
        self._task: asyncio.Task[dict[str, str] | None] | None = None
        self._needed = needed
        self._deadline = 0.0

    async def __aenter__(self) -> Self:
        if self._client is not None and self._looked_up is None:
            self._task = asyncio.ensure_future(best_effort(all_workers(self._client)))
            delay = _BEST_EFFORT_SECONDS if self._needed else _NAME_DELAY
            self._deadline = asyncio.get_running_loop().time() + delay
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def settle(self) -> None:
        """Wait until the names are known, at most until half a second, or 5 s, after the start."""
        left = self._deadline - asyncio.get_running_loop().time()
        if self._task is not None and not self._task.done() and left > 0:
            await asyncio.wait((self._task,), timeout=left)

    def of(self, tag: str | None) -> str | None:
        """The name of a Worker; None if it is unknown or not known yet."""
        if tag is None:
            return None
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._names = self._task.result() or self._names
            self._task = None
        if tag not in self._names and self._task is None and self._client is not None:
            self._look_up_new(self._client, tag)
        return self._names.get(tag)

    def _look_up_new(self, client: BuildsClient, tag: str) -> None:
        """Start a lookup for a Worker that may be new, once for each."""
        if self._looked_up is not None and tag not in self._looked_up:
            self._looked_up.add(tag)
            self._task = asyncio.ensure_future(best_effort(all_workers(client)))
