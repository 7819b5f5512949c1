"""Lists in pages: one page, and many as one async iterator."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, Protocol, Self, TypeVar

import msgspec

from builds_async.models.envelope import Envelope, Page, ResultInfo
from builds_async.session.call import Call
from builds_async.session.reply import Reply
from builds_async.session.session import ApiSession

T = TypeVar("T")

_REMEMBERED = 1000  # keys: enough unless a list grows by more items while it is read
_MAX_UNREADABLE = 3  # pages in a row without one item that can be read


def check_page(page: int, per_page: int, max_per_page: int = 200) -> None:
    """ValueError for a page number or size that the API does not accept."""
    if page < 1 or not 1 <= per_page <= max_per_page:
        raise ValueError(
            f"page must be at least 1 and per_page 1 to {max_per_page}, not {page} and {per_page}"
        )


async def get_page(
    session: ApiSession, path: str, decoder: msgspec.json.Decoder[Envelope[tuple[T, ...]]], query: str
) -> Page[T]:
    """One page of a list; a response without a result is an empty page."""
    return page_of(await session.exchange(Call("GET", path, decoder, query, nullable=True)))


def page_of(reply: Reply[tuple[T, ...]]) -> Page[T]:
    """The page that a reply is."""
    return Page(
        result=reply.result or (),
        result_info=reply.result_info,
        skipped=len(reply.lost(".result[]")),
    )


class _Fetch(Protocol[T]):
    def __call__(self, *, page: int) -> Awaitable[Page[T]]: ...


class Pages(Generic[T]):
    """All items of a paged list; a page is fetched when the loop reaches it.

    A class, not a generator: after a timeout, an error or a `break`, the next loop continues where the last
    one was. It holds no connection. Every item comes once, even if the list grows at its front while it is
    read and items move to the next page; for that it remembers the last 1,000 keys.

    It ends after an empty page, a page of known items only, a short page, or one that the API calls the last.
    Where these signs disagree, it continues: a page that is full, or followed by another according to any of
    them, is not the last. Items that can't be read are left out and logged, and count as items of their
    page; three pages in a row with no other items end the list.
    """

    def __init__(self, fetch: _Fetch[T], key: Callable[[T], str], per_page: int) -> None:
        self._fetch = fetch
        self._key = key
        self._per_page = per_page
        self._next_page: int | None = 1
        self._items: list[T] = []  # of the last page, still to be delivered; the next one is the last
        self._seen: dict[str, None] = {}
        self._total: int | None = None
        # A list that grows by n items at its front moves n known items to pages that are still to come.
        self._moved = 0  # how many of them have not come up again
        self._unreadable = 0  # pages in a row that had only items that can't be read

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
        """Whether this page is a reason to fetch the next one.

        A page of known items is not: a server that repeats its last page would never end the list. Unless the
        list has grown, which moves known items to this page.
        """
        return bool(fresh) or self._moved > 0 or 0 < self._unreadable < _MAX_UNREADABLE

    def _is_last(self, number: int, length: int, info: ResultInfo) -> bool:
        if length == 0:
            return True
        # A server with a lower limit of its own says so in `per_page`; a page of that length is full.
        per_page = max(1, min(info.per_page or self._per_page, self._per_page))
        signs = _signs(number, per_page, info)
        if True in signs:  # one request too many is better than a list cut short
            return False
        return length < per_page or False in signs


def _signs(number: int, per_page: int, info: ResultInfo) -> set[bool]:
    """Whether there is a next page, by each sign in the response; they may disagree, or be missing."""
    signs = set[bool]() if info.next_page is None else {info.next_page}
    if info.total_pages:  # 0 is wrong, because this page has items
        signs.add(number < info.total_pages)
    if info.total_count:
        signs.add(number * per_page < info.total_count)
    return signs
