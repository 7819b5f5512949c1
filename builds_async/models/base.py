"""The bases of all models: results, request bodies, redacted reprs and open enums. No I/O."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Self

import msgspec
from msgspec import UnsetType

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A datetime with a time zone. One that comes without fails the strict decode and is then read as UTC."""

Id = Annotated[str, msgspec.Meta(min_length=1)]
"""An identifier, never empty. A model whose id is missing can't be used."""


class Model(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """A result of the API, under the API's own field names.

    Frozen, so that it can be shared between tasks and kept. Unknown fields are skipped, and every field
    that the API may leave out has a default: a newer server does not break an older client. Every datetime
    has a time zone, UTC where the API names none.

    An odd value costs at most itself: see `builds_async.models.lenient`.
    """

    _essential: ClassVar[frozenset[str]] = frozenset()
    """Fields with a default that the model is useless without when their value is present but unreadable."""


class Body(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """A part of a request. A field that is UNSET is not sent and keeps its value; None is sent as null."""


class RedactedRepr(msgspec.Struct, frozen=True):
    """A struct whose repr shows `***` for its secret field, so tracebacks and logs do too."""

    _secret: ClassVar[str]
    """The name of the secret field."""

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
    """`values` as a tuple, or UNSET. TypeError for a single str, which would fall apart into characters."""
    if isinstance(values, str):
        raise TypeError("pass a list of strings, not one str")
    return values if isinstance(values, UnsetType) else tuple(values)


class OpenStrEnum(StrEnum):
    """An enum that the API may extend: an unlisted word becomes a member that is not stored in the class.

    `str()`, f-strings, `==` and `hash()` go by the word itself. Compare with `==`, not with `is`.

    Each enum has a member `_UNLISTED` that only type checkers see. It stands for the words of tomorrow: a
    `match` over the listed members is not exhaustive, so a checker asks for a `case _`.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        # Not registered in the class: words from outside must not pile up in a process that runs for weeks.
        member._name_ = member._value_ = value
        return member
