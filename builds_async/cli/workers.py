"""Workers as people name them."""

import re
from collections.abc import Iterable

from builds_async import Build, BuildsClient, BuildsError
from builds_async.cli.exits import CommandError

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
    """The Workers that the words mean: what to call each, by its tag.

    Raises what `client.workers.tags` raises: an unknown name is a NotFoundError.
    """
    tags = await client.workers.tags(_checked_worker(word) for word in words)
    names = {
        tag: word for word, tag in sorted(tags.items(), key=lambda pair: pair[0] == pair[1], reverse=True)
    }
    if any(tag == name for tag, name in names.items()):
        names |= {tag: name for tag, name in (await _all_names(client)).items() if tag in names}
    return names


async def find_worker(client: BuildsClient, word: str) -> str:
    """The tag of the one Worker that the word means."""
    return (await client.workers.tags([_checked_worker(word)]))[word]


async def all_workers(client: BuildsClient) -> dict[str, str]:
    """All Workers of the account: their names by tag, in the order of the names."""
    scripts = sorted(await client.workers.list(), key=lambda script: script.id)
    return {script.tag: script.id for script in scripts if script.tag}


async def name_of(client: BuildsClient, build: Build) -> str | None:
    """The name of the Worker of a build, if it can be had."""
    tag = build.trigger and build.trigger.external_script_id
    return (await _all_names(client)).get(tag) if tag else None


def _checked_worker(word: str) -> str:
    if is_build_uuid(word):
        raise CommandError(
            f"{word} is the UUID of a build, where the name or the tag of a Worker is due;"
            f" `builds-async show {word}` tells the Worker of a build"
        )
    return word


async def _all_names(client: BuildsClient) -> dict[str, str]:
    """The name of each Worker by its tag; none without the permission to list them, which a tag needs not."""
    try:
        return await all_workers(client)
    except BuildsError:
        return {}
