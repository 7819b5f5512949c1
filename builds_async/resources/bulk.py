"""Looks up many ids with few requests: in chunks, by a bounded number of tasks."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import NoReturn, TypeVar

import anyio

from builds_async.errors import AuthenticationError, BuildsError, PermissionDeniedError
from builds_async.results import BulkResult
from builds_async.session.credentials import PastedCredentialError
from builds_async.session.ids import MAX_IDS, checked_ids, normalized_id

T = TypeVar("T")

_Fetch = Callable[[Sequence[str]], Awaitable[Mapping[str, T | BuildsError | None]]]


async def fan_out(
    ids: Iterable[str], fetch: _Fetch[T], *, workers: int, size: int = MAX_IDS
) -> BulkResult[T]:
    """Fetch all of `ids`, in chunks of at most `size` (20), at most `workers` chunks at a time.

    Ids are checked before the first request. Each is fetched once, in the API's spelling: UUIDs and tags that
    differ only in case are the same. Without ids, nothing is sent.

    `fetch` may return an error for a single id. An error that it raises counts for each id of its chunk, and
    does not stop the other chunks. But with wrong credentials every chunk would fail, so the first error of
    that kind ends the lookup, and is raised without an exception group.
    """
    spelled = {it: normalized_id(it) for it in checked_ids(ids)}
    unique = list(dict.fromkeys(spelled.values()))
    results: dict[str, T | BuildsError | None] = {}
    chunks = _chunks(unique, size)

    async def work() -> None:
        for chunk in chunks:  # all workers share one iterator: each takes the next chunk when it is free
            try:
                results.update(await fetch(chunk))
            except (AuthenticationError, PermissionDeniedError, PastedCredentialError):
                raise
            except BuildsError as error:
                results.update(dict.fromkeys(chunk, error))

    await _run(work, min(workers, -(-len(unique) // size)))  # at most one worker per chunk, rounded up
    # `spelled` has the caller's order and spelling; `results` has the order of the responses.
    return bulk_result({it: results.get(key) for it, key in spelled.items()})


def bulk_result(results: Mapping[str, T | BuildsError | None]) -> BulkResult[T]:
    """The results by id, as found, missing (None) and failed."""
    found, missing, failed = dict[str, T](), list[str](), dict[str, BuildsError]()
    for key, value in results.items():
        if value is None:
            missing.append(key)
        elif isinstance(value, BuildsError):
            failed[key] = value
        else:
            found[key] = value
    return BulkResult(found=found, missing=tuple(missing), failed=failed)


def _chunks(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


async def _run(work: Callable[[], Coroutine[object, object, None]], workers: int) -> None:
    """Run `work` `workers` times, concurrently. The first error cancels the others and is raised alone."""
    if workers <= 1:  # a task group would cost a quarter of the CPU time of a request
        await work()
        return
    try:
        async with anyio.create_task_group() as group:
            for _ in range(workers):
                group.start_soon(work)
    except BaseExceptionGroup as errors:
        _raise_first(errors)


def _raise_first(errors: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Raise the first error in a group. Its traceback does not show the group."""
    first = errors.exceptions[0]
    if isinstance(first, BaseExceptionGroup):
        _raise_first(first)
    raise first from first.__cause__
