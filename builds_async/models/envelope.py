"""The wrapping that every answer of Cloudflare's API comes in."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import msgspec

from builds_async.models.base import Model
from builds_async.models.lenient import Loss

T = TypeVar("T")


class ErrorDetail(Model, frozen=True, kw_only=True):
    """One entry of an answer's `errors`. Codes are not tied to one HTTP status."""

    message: str = ""
    code: int | None = None


class ResultInfo(Model, frozen=True, kw_only=True):
    """Where a page stands in its list."""

    page: int | None = None
    per_page: int | None = None
    count: int | None = None
    total_count: int | None = None
    total_pages: int | None = None
    next_page: bool | None = None


class Envelope(Model, Generic[T], frozen=True, kw_only=True):
    """A successful answer. What only a failed one carries is not read here: this is the hot path."""

    _essential: ClassVar[frozenset[str]] = frozenset({"result"})

    success: bool | None = None
    if TYPE_CHECKING:
        result: T  # null only where the call says that it may be
    else:
        result: T | msgspec.UnsetType | None = msgspec.UNSET
    result_info: ResultInfo | None = None


class Receipt(Envelope[T], Generic[T], frozen=True, kw_only=True):
    """The successful answer to a call that has changed something.

    It was done, whatever the answer says: a result that is missing, null or odd is no error.
    """

    _essential: ClassVar[frozenset[str]] = frozenset()


class Done(Model, frozen=True, kw_only=True):
    """The same for a call that gives nothing back: nothing is made of the result, however large it is."""

    success: bool | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")


class MendedEnvelope(Envelope[T], Generic[T], frozen=True, kw_only=True):
    """An answer of which something odd was left out. It is made, never decoded."""

    losses: tuple[Loss, ...] = ()


class ErrorEnvelope(Model, frozen=True, kw_only=True):
    """A failed answer. Its `errors` stay as they are: there may be millions of them."""

    errors: msgspec.Raw = msgspec.Raw(b"[]")


class Page(Model, Generic[T], frozen=True, kw_only=True):
    """One page of a list, in the API's order. It can be iterated, indexed and counted.

    `skipped` is how many items of the page are left out because they can't be read: null, or without an id.
    """

    result: tuple[T, ...] = ()
    result_info: ResultInfo | None = None
    skipped: int = 0

    def __iter__(self) -> Iterator[T]:
        return iter(self.result)

    def __len__(self) -> int:
        return len(self.result)

    def __getitem__(self, index: int) -> T:
        return self.result[index]
