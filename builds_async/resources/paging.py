"""A list of many pages as one async iterator."""

from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

from builds_async.models.envelope import Page

T = TypeVar("T")


class Pages(Generic[T]):
    """All items of a paged list, one page fetched at a time, as they are asked for.

    A class, not a generator: a time-out, an error or a `break` leaves it where it is, and the next loop
    goes on there. It holds nothing open. Every item comes once, also when the list grows at its front
    while it is read and items move to the next page. It ends on a short, empty or repeated page, on the
    last of `total_pages`, or when the API says that there is no next page.
    """

    def __init__(
        self, fetch: Callable[[int], Awaitable[Page[T]]], key: Callable[[T], str], per_page: int
    ) -> None:
        self._fetch = fetch
        self._key = key
        self._per_page = per_page
        self._next_page: int | None = 1
        self._items: list[T] = []  # of the last page, still to be given out, the next one last
        self._seen: set[str] = set()  # keys of the last page, so memory stays that of one page

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._next_page is None:
                raise StopAsyncIteration
            self._take(self._next_page, await self._fetch(self._next_page))
        return self._items.pop()

    def _take(self, number: int, page: Page[T]) -> None:
        fresh = [item for item in page if self._key(item) not in self._seen]
        self._seen = {self._key(item) for item in page}
        self._items = fresh[::-1]
        self._next_page = number + 1 if fresh and not self._is_last(number, page) else None

    def _is_last(self, number: int, page: Page[T]) -> bool:
        if len(page) < self._per_page:
            return True
        info = page.result_info
        if info is None:
            return False
        return info.next_page is False or (info.total_pages is not None and number >= info.total_pages)
