"""Base classes of the models: results, request bodies, redacted reprs and open enums. No I/O."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Self

import msgspec
from msgspec import UnsetType

from builds_async.models.brief import brief, brief_fields, written

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A datetime with a time zone. Without a zone the strict decode fails, and the lenient pass adds UTC."""

Id = Annotated[str, msgspec.Meta(min_length=1)]
"""An identifier, never empty. A model without its id is unusable."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A result of the API, with the API's own field names.

    It is frozen, so it can be stored and shared between tasks. Unknown fields are skipped, and every field
    that the API may omit has a default, so a newer server does not break an older client. Every datetime has
    a time zone: UTC where the API gives none.

    An unreadable value is left out, and nothing else with it: see `builds_async.models.lenient`.

    The repr is one short line with the fields that identify the object. `msgspec.to_builtins` returns all.
    """

    _shown: ClassVar[tuple[str, ...]] = ()
    """The fields and properties that the repr shows; all fields if empty."""

    _essential: ClassVar[frozenset[str]] = frozenset()
    """Fields that have a default, but make the model unusable if their value is present and unreadable."""

    def __repr__(self) -> str:
        return brief(self)

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return brief_fields(self)  # msgspec's own has all fields


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a request. A field that is UNSET is not sent, so its value is kept. None is sent as null."""

    _shown: ClassVar[tuple[str, ...]] = ()
    """The fields that the repr shows; all of them if empty."""

    def __repr__(self) -> str:
        return brief(self)

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return brief_fields(self)


class RedactedRepr(msgspec.Struct, frozen=True):
    """A struct that hides its secret field: its repr, in tracebacks and logs too, shows `***` instead."""

    _secret: ClassVar[str]
    """The name of the secret field."""

    def __repr__(self) -> str:
        return written(self, self.__rich_repr__())

    def __rich_repr__(self) -> list[tuple[str, object]]:
        hidden = self._secret if self._is_secret() else None
        return [(name, "***" if name == hidden else value) for name, value in brief_fields(self)]

    def _is_secret(self) -> bool:
        return True


def texts(values: Iterable[str] | UnsetType) -> tuple[str, ...] | UnsetType:
    """`values` as a tuple, or UNSET. TypeError for a str, which would be split into characters."""
    if isinstance(values, str):
        raise TypeError("pass a list of strings, not one str")
    return values if isinstance(values, UnsetType) else tuple(values)


class OpenStrEnum(StrEnum):
    """An enum that accepts unlisted values: each becomes a member that is not stored in the class.

    `str()`, f-strings, `==` and `hash()` use the value itself. Compare with `==`, not with `is`.

    Each enum has a member `_UNLISTED` that only type checkers see. It stands for future values: a `match`
    over the listed members is not exhaustive, so a checker requires a `case _`.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        # Not stored in the class: values from outside must not accumulate in a long-running process.
        member._name_ = member._value_ = value
        return member
