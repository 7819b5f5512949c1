"""Many ids in few requests: chunks, and a bounded number of workers."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import NoReturn, TypeVar

import anyio

from builds_async.errors import AuthenticationError, BuildsError, PermissionDeniedError
from builds_async.results import BulkResult
from builds_async.session.ids import MAX_IDS, checked_ids, normalized_id
from builds_async.session.session import PastedCredentialError

T = TypeVar("T")

_Fetch = Callable[[Sequence[str]], Awaitable[Mapping[str, T | BuildsError | None]]]


async def fan_out(ids: Iterable[str], fetch: _Fetch[T], *, workers: int) -> BulkResult[T]:
    """Ask `fetch` for all of `ids`, in chunks of at most 20, at most `workers` chunks at a time.

    Ids are checked before the first request; duplicates are asked once, as are UUIDs and tags that differ
    in case; an empty request sends nothing. `fetch` is asked for ids in the API's spelling. A chunk that
    fails puts its error on each of its ids and stops no other, and so does an error in place of an answer.
    Wrong credentials would fail all alike: the first such error ends the whole look-up and is raised, by
    itself.
    """
    asked = {it: normalized_id(it) for it in checked_ids(ids)}
    unique = list(dict.fromkeys(asked.values()))
    answered: dict[str, T | BuildsError | None] = {}
    chunks = _chunks(unique)

    async def work() -> None:
        for chunk in chunks:  # one iterator for all workers
            try:
                answered.update(await fetch(chunk))
            except (AuthenticationError, PermissionDeniedError, PastedCredentialError):
                raise
            except BuildsError as error:
                answered.update(dict.fromkeys(chunk, error))

    await _run(work, min(workers, -(-len(unique) // MAX_IDS)))
    return _sorted({it: answered.get(key) for it, key in asked.items()})


def _sorted(answers: Mapping[str, T | BuildsError | None]) -> BulkResult[T]:
    found, missing, failed = dict[str, T](), list[str](), dict[str, BuildsError]()
    for key, value in answers.items():
        if value is None:
            missing.append(key)
        elif isinstance(value, BuildsError):
            failed[key] = value
        else:
            found[key] = value
    return BulkResult(found=found, missing=tuple(missing), failed=failed)


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + MAX_IDS] for start in range(0, len(ids), MAX_IDS))


async def _run(work: Callable[[], Coroutine[object, object, None]], workers: int) -> None:
    """`workers` times `work`, concurrently; what one raises stops the others and comes out by itself."""
    if workers <= 1:  # a task group costs a quarter of a request
        await work()
        return
    try:
        async with anyio.create_task_group() as group:
            for _ in range(workers):
                group.start_soon(work)
    except BaseExceptionGroup as errors:
        _raise_first(errors)


def _raise_first(errors: BaseExceptionGroup[BaseException]) -> NoReturn:
    first = errors.exceptions[0]
    if isinstance(first, BaseExceptionGroup):
        _raise_first(first)
    raise first from first.__cause__
