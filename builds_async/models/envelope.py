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
    """The API's description of the error."""
    code: int | None = None
    """Cloudflare's error code, which is independent of the HTTP status; None if the entry has no code."""


class ResultInfo(Model, frozen=True, kw_only=True):
    """The place of a page in its list. Any field may be None: not every list has all of them."""

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
    """Whether there is a next page. Seen live, but missing from the schema."""


class Envelope(Model, Generic[T], frozen=True, kw_only=True):
    """A successful response. Its decoding is the hot path, so it skips the fields of refusals."""

    _essential: ClassVar[frozenset[str]] = frozenset({"result"})

    success: bool | None = None
    """The response's own claim of success. The HTTP status decides, not this field."""
    if TYPE_CHECKING:
        result: T  # callers get None only from calls that are `nullable`
    else:
        result: T | msgspec.UnsetType | None = msgspec.UNSET
    result_info: ResultInfo | None = None
    """The place of the page, for a list."""


class Receipt(Envelope[T], Generic[T], frozen=True, kw_only=True):
    """A successful response to a change.

    The change is done, so a missing, null or unreadable result is not an error.
    """

    _essential: ClassVar[frozenset[str]] = frozenset()


class Exact(Envelope[T], Generic[T], frozen=True, kw_only=True):
    """A response whose result has a type of the caller's own, and is decoded strictly or not at all.

    The lenient pass is not used, because it knows only the models of this package.
    """


class Done(Model, frozen=True, kw_only=True):
    """A successful response to a call without a result. Its `result` stays raw bytes and is never decoded."""

    success: bool | None = None
    """The response's own claim of success."""
    result: msgspec.Raw = msgspec.Raw(b"null")
    """The result, not decoded."""


class MendedEnvelope(Envelope[T], Generic[T], frozen=True, kw_only=True):
    """An envelope made by the lenient pass, which left out unreadable values."""

    losses: tuple[Loss, ...] = ()
    """The values that were left out."""


class ErrorEnvelope(Model, frozen=True, kw_only=True):
    """A refusal. `errors` stays raw bytes, since a hostile response may have millions of entries."""

    errors: msgspec.Raw = msgspec.Raw(b"[]")
    """The errors, not decoded."""


class Page(Model, Generic[T], frozen=True, kw_only=True):
    """One page of a list, in the API's order. It can be iterated, indexed and counted."""

    result: tuple[T, ...] = ()
    """The items of the page."""
    result_info: ResultInfo | None = None
    """The place of the page in its list; None if the API does not return it."""
    skipped: int = 0
    """How many items were left out because they are null, unreadable or without an id."""

    def __iter__(self) -> Iterator[T]:
        return iter(self.result)

    def __len__(self) -> int:
        return len(self.result)

    def __getitem__(self, index: int) -> T:
        return self.result[index]
