"""A paged list as one async iterator."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds_async import BuildsClient, InternalServerError, Page, ResultInfo
from builds_async.resources.paging import Pages
from tests.support import TAG, MockApi, build, envelope, result_info
from tests.support.case import cases


class Listing:
    """A server-side list that may grow at its front during reading; `asked` has the requested pages."""

    def __init__(self, count: int, per_page: int, *, info: bool = False) -> None:
        self.items = [f"i{number}" for number in range(count)]
        self.per_page = per_page
        self.info = info
        self.asked: list[int] = []
        self.error: Exception | None = None
        self._new = 0

    async def fetch(self, page: int) -> Page[str]:
        self.asked.append(page)
        if self.error is not None:
            raise self.error
        start = (page - 1) * self.per_page
        info = None
        if self.info:
            pages = -(-len(self.items) // self.per_page)
            info = ResultInfo(
                page=page,
                per_page=self.per_page,
                count=len(self.items[start : start + self.per_page]),
                total_count=len(self.items),
                total_pages=pages,
                next_page=page < pages,
            )
        return Page(result=tuple(self.items[start : start + self.per_page]), result_info=info)

    def pages(self) -> Pages[str]:
        return Pages(self.fetch, str, self.per_page)

    def grow(self, count: int) -> None:
        self.items[:0] = [f"new{self._new + number}" for number in range(count)]
        self._new += count


async def take(items: AsyncIterator[str], count: int) -> list[str]:
    """The next `count` items."""
    return [await anext(items) for _ in range(count)]


@cases(
    ("count", "info", "asked"),
    [
        (0, False, [1]),
        (1, False, [1]),
        (2, False, [1]),
        (3, False, [1, 2]),
        (7, False, [1, 2, 3]),
        (6, False, [1, 2, 3]),
        (6, True, [1, 2]),
        (7, True, [1, 2, 3]),
        (0, True, [1]),
    ],
    ids=str,
)
async def test_all(count: int, info: bool, asked: list[int]) -> None:
    """Every item is returned once and in order, and no unnecessary page is fetched."""
    listing = Listing(count, 3, info=info)
    assert [item async for item in listing.pages()] == listing.items
    assert listing.asked == asked


async def test_one_by_one() -> None:
    """A page is fetched only when its first item is needed."""
    listing = Listing(9, 3)
    pages = listing.pages()
    assert listing.asked == []
    for number in range(1, 10):
        await anext(pages)
        assert listing.asked == list(range(1, 2 + (number - 1) // 3))


async def test_break() -> None:
    """After a `break`, the next loop continues at the same place."""
    listing = Listing(8, 3)
    pages = listing.pages()
    seen = []
    for stop in ("i1", "i2", "i6", ""):
        async for item in pages:
            seen.append(item)
            if item == stop:
                break
    assert seen == listing.items
    assert listing.asked == [1, 2, 3]


async def test_error() -> None:
    """After an error the same iterator continues at the same place and fetches that page again."""
    listing = Listing(8, 3)
    pages = listing.pages()
    seen = await take(pages, 3)
    listing.error = InternalServerError("busy", status=503)
    with pytest.raises(InternalServerError, match="busy"):
        await anext(pages)
    listing.error = None
    seen += [item async for item in pages]
    assert seen == listing.items
    assert listing.asked == [1, 2, 2, 3]


async def test_end() -> None:
    """An exhausted iterator stays exhausted, and fetches nothing."""
    listing = Listing(4, 3)
    pages = listing.pages()
    assert len([item async for item in pages]) == 4
    assert [item async for item in pages] == []
    assert listing.asked == [1, 2]


@cases(
    ("info", "ends"),
    [
        (None, False),
        (ResultInfo(), False),
        (ResultInfo(next_page=True, total_pages=9), False),
        (ResultInfo(next_page=False), True),
        (ResultInfo(next_page=False, total_pages=0, total_count=0), True),
        (ResultInfo(next_page=False, total_pages=9), False),
        (ResultInfo(next_page=False, total_count=3), False),
        (ResultInfo(next_page=True, total_pages=1), False),
        (ResultInfo(next_page=True, total_pages=0), False),
        (ResultInfo(total_pages=1), True),
        (ResultInfo(total_count=2), True),
        (ResultInfo(total_pages=0), False),
        (ResultInfo(total_pages=0, total_count=0), False),
        (ResultInfo(total_pages=2), False),
        (ResultInfo(per_page=0), False),
        (ResultInfo(per_page=100), False),
    ],
    ids=[
        "none",
        "empty",
        "more",
        "no next page",
        "no next page of none",
        "no next page of nine",
        "no next page, one item more",
        "a next page behind the last",
        "a next page of none",
        "last",
        "all items",
        "no pages",
        "no items",
        "last but one",
        "none a page",
        "more a page than asked for",
    ],
)
async def test_last(info: ResultInfo | None, ends: bool) -> None:
    """A full page is the last one only if every sign in the response says so."""
    asked: list[int] = []

    async def fetch(page: int) -> Page[str]:
        asked.append(page)
        return Page(result=("a", "b"), result_info=info) if page == 1 else Page()

    assert [item async for item in Pages(fetch, str, 2)] == ["a", "b"]
    assert asked == ([1] if ends else [1, 2])


@cases(
    "info",
    [ResultInfo(next_page=True), ResultInfo(total_pages=3), ResultInfo(total_count=5)],
    ids=["next page", "pages", "items"],
)
async def test_short_page_with_a_next_one(info: ResultInfo) -> None:
    """A short page is not the last one if any sign announces a next page."""
    pages = {1: ("a",), 2: ("b",), 3: ()}

    async def fetch(page: int) -> Page[str]:
        return Page(result=pages[page], result_info=info if page == 1 else None)

    assert [item async for item in Pages(fetch, str, 2)] == ["a", "b"]


async def test_unreadable_items() -> None:
    """An unreadable item counts towards its page, so a full page does not become a short one."""
    pages = {
        1: Page(result=("a",), skipped=1),
        2: Page[str](skipped=2),
        3: Page(result=("b", "c")),
        4: Page(result=("d",)),
    }

    async def fetch(page: int) -> Page[str]:
        return pages[page]

    assert [item async for item in Pages(fetch, str, 2)] == ["a", "b", "c", "d"]


async def test_only_unreadable_items() -> None:
    """The iterator ends even if the server's pages have no readable item."""
    asked: list[int] = []

    async def fetch(page: int) -> Page[str]:
        asked.append(page)
        assert len(asked) < 50
        return Page(skipped=2, result_info=ResultInfo(next_page=True))

    assert [item async for item in Pages(fetch, str, 2)] == []
    assert len(asked) == 3


async def test_repeated() -> None:
    """The iterator ends even if every page has the same items."""
    asked: list[int] = []

    async def fetch(page: int) -> Page[str]:
        asked.append(page)
        assert len(asked) < 50
        return Page(result=("a", "b"))

    assert [item async for item in Pages(fetch, str, 2)] == ["a", "b"]


@pytest.mark.slow
@given(
    st.integers(0, 30),
    st.integers(2, 6),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 20)), max_size=6),
)
async def test_growing(count: int, per_page: int, info: bool, steps: list[tuple[int, int]]) -> None:
    """Each initial item is returned once, in order, however many new ones arrive between two pages.

    If the API does not report the total, this holds for less than a page of new items.
    """
    listing = Listing(count, per_page, info=info)
    items = list(listing.items)
    pages = listing.pages()
    seen: list[str] = []
    for taken, grown in steps:
        asked = len(listing.asked)
        try:
            for _ in range(taken):
                if len(listing.asked) > asked:
                    break  # grows at most once between two pages
                seen.append(await anext(pages))
        except StopAsyncIteration:
            break
        if len(listing.asked) > asked:
            listing.grow(grown if info else min(grown, per_page - 1))
    seen += [item async for item in pages]
    assert [item for item in seen if not item.startswith("new")] == items
    assert len(seen) == len(set(seen))


@cases("grown", [2, 3, 4, 5, 6, 9])
async def test_grown_a_page(grown: int) -> None:
    """Each initial item is returned once, even if a page or more of new items arrived since the last page."""
    listing = Listing(6, 2, info=True)
    items = list(listing.items)
    pages = listing.pages()
    seen = await take(pages, 2)
    listing.grow(grown)
    seen += [item async for item in pages]
    assert [item for item in seen if not item.startswith("new")] == items
    assert len(seen) == len(set(seen))


async def test_repeated_with_info() -> None:
    """The iterator ends even if each repeated page announces a next one."""
    asked: list[int] = []

    async def fetch(page: int) -> Page[str]:
        asked.append(page)
        assert len(asked) < 50
        return Page(result=("a", "b"), result_info=ResultInfo(total_pages=5, total_count=10, next_page=True))

    assert [item async for item in Pages(fetch, str, 2)] == ["a", "b"]
    assert len(asked) <= 5


@pytest.mark.parametrize(("before", "after"), [(4, 6), (40, 42)])
async def test_repeated_after_growth(before: int, after: int) -> None:
    """The iterator ends even if the list grows once and then repeats itself."""
    asked: list[int] = []

    async def fetch(page: int) -> Page[str]:
        asked.append(page)
        assert len(asked) < 50
        return Page(result=("a", "b"), result_info=ResultInfo(total_count=before if page == 1 else after))

    assert [item async for item in Pages(fetch, str, 2)] == ["a", "b"]
    assert len(asked) <= 4


@pytest.mark.parametrize(
    ("path", "name", "items"),
    [
        (f"/builds/workers/{TAG}/builds", "build_uuid", lambda c: c.builds.iter(TAG)),
        ("/builds/tokens", "build_token_uuid", lambda c: c.tokens.iter()),
        (f"/builds/workers/{TAG}/previews", "preview_id", lambda c: c.previews.iter(TAG)),
    ],
)
async def test_smaller_server_page_size(
    path: str, name: str, items: Callable[[BuildsClient], Pages[Any]], api: MockApi, client: BuildsClient
) -> None:
    """No item is lost if the server declares a smaller page size than requested."""
    ids = [f"{number:032x}" for number in range(5)]
    for page in (1, 2, 3):
        some = ids[2 * page - 2 : 2 * page]
        info = {
            "next_page": page < 3,
            "page": page,
            "per_page": 2,
            "count": len(some),
            "total_count": 5,
            "total_pages": 3,
        }
        api.on(
            "GET",
            f"{path}?page={page}&per_page=50",
            envelope([{name: it} for it in some], result_info=info),
        )
    found = [getattr(it, name) async for it in items(client)]
    assert found == ids


class TestClient:
    async def test_pages(self, api: MockApi, client: BuildsClient) -> None:
        """All builds of a Worker are returned page by page."""
        for page, ids in ((1, "ab"), (2, "cd"), (3, "e")):
            api.on(
                "GET",
                f"/builds/workers/{TAG}/builds?page={page}&per_page=2",
                json=envelope(
                    [build(uuid) for uuid in ids],
                    result_info=result_info(page=page, per_page=2, total_count=5),
                ),
            )
        assert [it.build_uuid async for it in client.builds.iter(TAG, per_page=2)] == list("abcde")
        assert len(api.sent) == 3

    async def test_page(self, api: MockApi, client: BuildsClient) -> None:
        """A single page has its builds and its paging info."""
        info = result_info(page=2, per_page=2, total_count=87)
        api.on(
            "GET",
            f"/builds/workers/{TAG}/builds?page=2&per_page=2",
            json=envelope([build("a"), build("b")], result_info=info),
        )
        page = await client.builds.list(TAG, page=2, per_page=2)
        assert [it.build_uuid for it in page] == ["a", "b"]
        assert page.result_info == ResultInfo(
            page=2, per_page=2, count=2, total_count=87, total_pages=44, next_page=True
        )

    @pytest.mark.parametrize(("page", "per_page"), [(0, 50), (-1, 50), (1, 0), (1, 201), (1, -1)])
    async def test_misuse(self, api: MockApi, client: BuildsClient, page: int, per_page: int) -> None:
        """An invalid page is a ValueError before anything is sent."""
        with pytest.raises(ValueError, match=f"not {page} and {per_page}"):
            await client.builds.list(TAG, page=page, per_page=per_page)
        assert api.sent == []

    @pytest.mark.parametrize("per_page", [0, 201])
    async def test_misuse_of_iter(self, api: MockApi, client: BuildsClient, per_page: int) -> None:
        """An invalid page size of `iter` is a ValueError before anything is sent."""
        with pytest.raises(ValueError, match=f"per_page 1 to 200, not 1 and {per_page}"):
            await anext(client.builds.iter(TAG, per_page=per_page))
        assert api.sent == []
