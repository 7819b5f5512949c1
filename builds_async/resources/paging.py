"""Paged lists: a single page, and all pages as one async iterator."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, Protocol, Self, TypeVar

import msgspec

from builds_async.models.envelope import Envelope, Page, ResultInfo
from builds_async.session.call import Call
from builds_async.session.reply import Reply
from builds_async.session.session import ApiSession

T = TypeVar("T")

_REMEMBERED = 1000  # keys: enough unless a list grows by more items while it is read
_MAX_UNREADABLE = 3  # pages in a row that have only unreadable items


def check_page(page: int, per_page: int, max_per_page: int = 200) -> None:
    """ValueError for a page number or size that the API does not accept."""
    if page < 1 or not 1 <= per_page <= max_per_page:
        raise ValueError(
            f"page must be at least 1 and per_page 1 to {max_per_page}, not {page} and {per_page}"
        )


async def get_page(
    session: ApiSession, path: str, decoder: msgspec.json.Decoder[Envelope[tuple[T, ...]]], query: str
) -> Page[T]:
    """One page of a list. A response without a result is an empty page."""
    return page_of(await session.exchange(Call("GET", path, decoder, query, nullable=True)))


def page_of(reply: Reply[tuple[T, ...]]) -> Page[T]:
    """The page in a reply."""
    return Page(
        result=reply.result or (),
        result_info=reply.result_info,
        skipped=len(reply.lost(".result[]")),
    )


class _Fetch(Protocol[T]):
    def __call__(self, *, page: int) -> Awaitable[Page[T]]: ...


class Pages(Generic[T]):
    """All items of a paged list. Pages are fetched as the loop reaches them.

    - After a timeout, an error or a `break`, another loop continues where the last one was. Between two items
      no connection is held.
    - Every item comes once, even if the list grows at its front while it is read, which moves items to later
      pages. For that, the last 1,000 keys are remembered.
    - The list ends after an empty page, a page with only known items, a short page, or a page that the API
      calls the last. If these signs disagree, the loop reads on: a page is not the last one if it is full, or
      if any sign says that another follows.
    - Unreadable items are left out and logged, but count as items of their page. Three pages in a row with
      only unreadable items end the list.
    """

    def __init__(self, fetch: _Fetch[T], key: Callable[[T], str], per_page: int) -> None:
        self._fetch = fetch
        self._key = key
        self._per_page = per_page
        self._next_page: int | None = 1
        self._items: list[T] = []  # of the last page, not delivered yet, in reverse order
        self._seen: dict[str, None] = {}
        self._total: int | None = None
        # A list that grows by n items at its front moves n known items to the next page. This counts those
        # that have not come again yet.
        self._moved = 0
        self._unreadable = 0  # pages in a row that had only unreadable items

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._next_page is None:
                raise StopAsyncIteration
            self._take_page(self._next_page, await self._fetch(page=self._next_page))
        return self._items.pop()

    def _take_page(self, number: int, page: Page[T]) -> None:
        info = page.result_info or ResultInfo()
        fresh = {key: item for item in page if (key := self._key(item)) not in self._seen}
        if info.total_count is not None:
            self._moved += max(0, info.total_count - (self._total or info.total_count))
            self._total = info.total_count
        self._unreadable = 0 if len(page) or not page.skipped else self._unreadable + 1
        has_next = self._has_news(fresh) and not self._is_last(number, len(page) + page.skipped, info)
        self._moved -= len(page) - len(fresh)
        self._next_page = number + 1 if has_next else None
        self._items = [*fresh.values()][::-1]  # reversed, so that pop() takes the first
        self._seen = dict.fromkeys([*self._seen, *fresh][-_REMEMBERED:])

    def _has_news(self, fresh: Mapping[str, T]) -> bool:
        """Whether this page allows another one to follow.

        A page with only known items ends the list, because a server may repeat its last page forever. The
        exception is a list that has grown, since that moves known items to this page.
        """
        return bool(fresh) or self._moved > 0 or 0 < self._unreadable < _MAX_UNREADABLE

    def _is_last(self, number: int, length: int, info: ResultInfo) -> bool:
        if length == 0:
            return True
        # A server with a lower limit of its own reports it in `per_page`. A page of that length is full.
        per_page = max(1, min(info.per_page or self._per_page, self._per_page))
        signs = _signs(number, per_page, info)
        if True in signs:  # one request too many is better than a list cut short
            return False
        return length < per_page or False in signs


def _signs(number: int, per_page: int, info: ResultInfo) -> set[bool]:
    """Whether a next page exists, by each sign in the response. Signs may disagree or be missing."""
    signs = set[bool]() if info.next_page is None else {info.next_page}
    if info.total_pages:  # 0 can't be right, because this page has items
        signs.add(number < info.total_pages)
    if info.total_count:
        signs.add(number * per_page < info.total_count)
    return signs
