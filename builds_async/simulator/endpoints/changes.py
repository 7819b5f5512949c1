"""Partial updates, and types shared by the bodies of several resources."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta

from builds_async.simulator.records import Json

Branch: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Patterns: TypeAlias = list[str]


class Change(msgspec.Struct, kw_only=True):
    """A partial update: fields that are not sent keep their values."""

    def sent(self) -> Json:
        """The fields that were sent."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not UNSET}


class SomeChange(Change):
    """A partial update of at least one field."""

    def __post_init__(self) -> None:
        if not self.sent():
            raise ValueError("nothing to change")
