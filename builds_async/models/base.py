"""What every wire noun shares. No I/O, no behaviour beyond reading oneself."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Self

import msgspec
from msgspec import UnsetType

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A date with a zone. One that comes without is read as UTC, by the second look."""

Id = Annotated[str, msgspec.Meta(min_length=1)]
"""What names a thing. A thing without it can't be used."""


class Model(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """A result of the API, as it was answered.

    Frozen, because an answer is a fact: it can be shared between tasks and kept.
    Unknown fields are skipped and every field that the API may leave out has a default, so that a
    newer server does not break an older client. Field names are the API's own. A date has a zone: one that
    comes without is UTC.

    An odd value costs at most itself: see `builds_async.models.lenient`.
    """

    _essential: ClassVar[frozenset[str]] = frozenset()
    """Fields with a default without which the model is of no use, if what they have can't be read."""


class Body(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """A part of a request. What is UNSET is not sent and stays as it is; None is sent as null."""


class Discreet(msgspec.Struct, frozen=True):
    """A struct whose `repr` has `***` in place of a secret, as have the tracebacks and logs that show it."""

    _secret: ClassVar[str]
    """The name of the field."""

    def __rich_repr__(self) -> list[tuple[str, object]]:
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        if self._is_secret():
            fields[self._secret] = "***"
        return [*fields.items()]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={it!r}' for name, it in self.__rich_repr__())})"

    def _is_secret(self) -> bool:
        return True


def texts(values: Iterable[str] | UnsetType) -> tuple[str, ...] | UnsetType:
    """`values` as a tuple, or UNSET; TypeError for one str, whose characters would be taken for texts."""
    if isinstance(values, str):
        raise TypeError("pass a list of texts, not one str")
    return values if isinstance(values, UnsetType) else tuple(values)


class OpenStrEnum(StrEnum):
    """An enum of words that the API may add to.

    A word that is not listed becomes a member for the occasion: `str()`, f-strings, `==` and hashing
    go by the word itself. Compare with `==`, not with `is`.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value  # not stored in the class: words from outside never pile up
        return member
