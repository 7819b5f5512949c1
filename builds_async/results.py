"""The result of a lookup of many ids, which can succeed for some of them and fail for others."""

from typing import Generic, TypeVar

import msgspec

from builds_async.errors import BuildsError
from builds_async.models.brief import brief

T = TypeVar("T")


class BulkResult(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """The result of a lookup of many ids. Each id is in exactly one of the three fields, in request order.

    Ids are spelled as the caller wrote them. Two spellings of one id, in upper and lower case, are two ids
    with the same result.
    """

    found: dict[str, T]
    """The results, by id."""

    missing: tuple[str, ...] = ()
    """The ids for which the API has no result, which is not an error."""

    failed: dict[str, BuildsError] = msgspec.field(default_factory=dict)
    """The error of each id whose request failed after the usual retries, or whose part of the response is
    unreadable (a ResponseDecodeError)."""

    def __repr__(self) -> str:
        return brief(self)

    def raise_for_failures(self) -> None:
        """Raise the first error of `failed`, if there is one."""
        for error in self.failed.values():
            raise error
