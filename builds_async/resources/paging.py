"""Lists in pages: one page, and many as one async iterator."""

from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, Self, TypeVar

import msgspec

from builds_async.models.envelope import Envelope, Page, ResultInfo
from builds_async.session.api import ApiSession

T = TypeVar("T")


_REMEMBERED = 1000


def check_page(page: int, per_page: int, most: int = 200) -> None:
    """ValueError for a page that the API does not have; `most` items are in one."""
    if page < 1 or not 1 <= per_page <= most:
        raise ValueError(f"page is at least 1 and per_page 1 to {most}, not {page} and {per_page}")


async def get_page(
    session: ApiSession, path: str, decoder: msgspec.json.Decoder[Envelope[tuple[T, ...]]], query: str
) -> Page[T]:
    """One page of a list; without a result it is empty."""
    envelope = await session.envelope("GET", path, decoder, query)
    return Page(result=envelope.result or (), result_info=envelope.result_info)


class _Fetch(Protocol[T]):
    def __call__(self, *, page: int) -> Awaitable[Page[T]]: ...


class Pages(Generic[T]):
    """All items of a paged list, one page fetched at a time, as they are asked for.

    A class, not a generator: a time-out, an error or a `break` leaves it where it is, and the next loop
    goes on there. It holds nothing open. Every item comes once, also when the list grows at its front
    while it is read and items move on to the next page; for that it remembers the last 1,000 keys. It
    ends on a short, empty or repeated page, on the last of `total_pages`, or when the API says that there
    is no next page.
    """

    def __init__(self, fetch: _Fetch[T], key: Callable[[T], str], per_page: int) -> None:
        self._fetch = fetch
        self._key = key
        self._per_page = per_page
        self._next_page: int | None = 1
        self._items: list[T] = []  # still to be given out, the next one last
        self._seen: dict[str, None] = {}
        self._total: int | None = None
        self._moved = 0  # by how many items the list has grown that have not come up again

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._next_page is None:
                raise StopAsyncIteration
            self._take(self._next_page, await self._fetch(page=self._next_page))
        return self._items.pop()

    def _take(self, number: int, page: Page[T]) -> None:
        info = page.result_info or ResultInfo()
        fresh = {key: item for item in page if (key := self._key(item)) not in self._seen}
        if info.total_count is not None:
            self._moved += max(0, info.total_count - (self._total or info.total_count))
            self._total = info.total_count
        # A page of known items only: a server that repeats itself, unless the list has grown and moved on.
        goes_on = (fresh or self._moved > 0) and not self._is_last(number, len(page), info)
        self._moved -= len(page) - len(fresh)
        self._next_page = number + 1 if goes_on else None
        self._items = [*fresh.values()][::-1]
        self._seen = dict.fromkeys([*self._seen, *fresh][-_REMEMBERED:])

    def _is_last(self, number: int, length: int, info: ResultInfo) -> bool:
        no_more_pages = info.total_pages is not None and number >= info.total_pages
        per_page = info.per_page or self._per_page  # the server may give fewer than were asked for
        return length < per_page or info.next_page is False or no_more_pages
