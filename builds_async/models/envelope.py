"""The envelope around every response of Cloudflare's API."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import msgspec

from builds_async.models.base import Model
from builds_async.models.lenient import Loss

T = TypeVar("T")


class ErrorDetail(Model, frozen=True, kw_only=True):
    """One entry of `errors` in a response."""

    message: str = ""
    """What went wrong, in the API's words."""
    code: int | None = None
    """Cloudflare's error code, which may come with any HTTP status; None if the entry has none."""


class ResultInfo(Model, frozen=True, kw_only=True):
    """The place of a page in its list. Any field may be None: not every list gives all of them."""

    page: int | None = None
    """The number of this page, from 1."""
    per_page: int | None = None
    """How many items a full page has."""
    count: int | None = None
    """How many items this page has."""
    total_count: int | None = None
    """How many items the whole list has."""
    total_pages: int | None = None
    """How many pages the whole list has."""
    next_page: bool | None = None
    """Whether there is a next page. Seen live, missing from the schema."""


class Envelope(Model, Generic[T], frozen=True, kw_only=True):
    """A successful response. Decoding it is the hot path: what only a refusal carries is not read here."""

    _essential: ClassVar[frozenset[str]] = frozenset({"result"})

    success: bool | None = None
    """The response's own claim of success. The HTTP status decides, not this field."""
    if TYPE_CHECKING:
        result: T  # callers see None only where the call says that it is nullable
    else:
        result: T | msgspec.UnsetType | None = msgspec.UNSET
    result_info: ResultInfo | None = None
    """The place of the page, for a list."""


class Receipt(Envelope[T], Generic[T], frozen=True, kw_only=True):
    """The successful response to a call that changed something.

    The change is done, so a result that is missing, null or unreadable is not an error.
    """

    _essential: ClassVar[frozenset[str]] = frozenset()


class Exact(Envelope[T], Generic[T], frozen=True, kw_only=True):
    """A response with a result of a caller's own type: as that type has it, or not at all.

    The lenient pass knows the models here, and what may be left out of them, but no other types.
    """


class Done(Model, frozen=True, kw_only=True):
    """The same for a call without a result: whatever came is kept as raw bytes and never decoded."""

    success: bool | None = None
    """The response's own claim of success."""
    result: msgspec.Raw = msgspec.Raw(b"null")
    """The result, not decoded."""


class MendedEnvelope(Envelope[T], Generic[T], frozen=True, kw_only=True):
    """An envelope without the odd values of the response. Made by the lenient pass, never decoded itself."""

    losses: tuple[Loss, ...] = ()
    """What was left out."""


class ErrorEnvelope(Model, frozen=True, kw_only=True):
    """A refusal. Its `errors` stay raw bytes: a hostile response may have millions of them."""

    errors: msgspec.Raw = msgspec.Raw(b"[]")
    """The entries, not decoded."""


class Page(Model, Generic[T], frozen=True, kw_only=True):
    """One page of a list, in the API's order. It can be iterated, indexed and counted."""

    result: tuple[T, ...] = ()
    """The items of the page."""
    result_info: ResultInfo | None = None
    """The place of the page in its list; None if the API does not give it."""
    skipped: int = 0
    """How many items were left out because they are null, have no id or can't be read."""

    def __iter__(self) -> Iterator[T]:
        return iter(self.result)

    def __len__(self) -> int:
        return len(self.result)

    def __getitem__(self, index: int) -> T:
        return self.result[index]
