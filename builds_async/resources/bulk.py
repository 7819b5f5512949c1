"""Many ids in few requests: in chunks, by a bounded number of tasks."""

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
    differ only in case are the same. Without ids, nothing is sent. `fetch` may return an error for a single
    id; an error that it raises is that of each id of the chunk, and does not stop other chunks. Wrong
    credentials would fail every chunk: the first such error ends the lookup and is raised, in no group.
    """
    spelled = {it: normalized_id(it) for it in checked_ids(ids)}
    unique = list(dict.fromkeys(spelled.values()))
    results: dict[str, T | BuildsError | None] = {}
    chunks = _chunks(unique, size)

    async def work() -> None:
        for chunk in chunks:  # one iterator for all workers: each takes the next chunk when it is free
            try:
                results.update(await fetch(chunk))
            except (AuthenticationError, PermissionDeniedError, PastedCredentialError):
                raise
            except BuildsError as error:
                results.update(dict.fromkeys(chunk, error))

    await _run(work, min(workers, -(-len(unique) // size)))  # rounded up: a worker for each chunk at most
    # By `spelled`, so in the caller's order and spelling, not in the order in which responses came.
    return bulk_result({it: results.get(key) for it, key in spelled.items()})


def bulk_result(results: Mapping[str, T | BuildsError | None]) -> BulkResult[T]:
    """Results by id, sorted into those that were found, are missing (None) or failed."""
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
    """Raise the first error in a group, with its own cause: the group would be its context."""
    first = errors.exceptions[0]
    if isinstance(first, BaseExceptionGroup):
        _raise_first(first)
    raise first from first.__cause__
