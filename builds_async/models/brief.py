"""The repr of a Struct: one short line, for logs, tracebacks and a REPL."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Final

import msgspec

LONGEST: Final = 48
"""How many characters of a text are shown: a UUID fits, a script or a commit message does not."""

MOST_ITEMS: Final = 3
"""The maximum number of texts of a list that are shown. Longer lists and other items are only counted."""


def brief(struct: msgspec.Struct) -> str:
    """The repr of a Struct: the fields in its `_shown`, or else all; without those that are None or UNSET."""
    return written(struct, brief_fields(struct))


def brief_fields(struct: msgspec.Struct) -> list[tuple[str, object]]:
    """The fields that a repr shows, and their values."""
    names = getattr(struct, "_shown", ()) or struct.__struct_fields__
    fields = [(name, getattr(struct, name)) for name in names]
    return [(name, value) for name, value in fields if value is not None and value is not msgspec.UNSET]


def written(struct: msgspec.Struct, fields: Iterable[tuple[str, object]]) -> str:
    """The repr of a Struct with these fields."""
    return f"{type(struct).__name__}({', '.join(f'{name}={_value(value)}' for name, value in fields)})"


def _value(value: object) -> str:
    value = value.value if isinstance(value, Enum) else value
    if isinstance(value, str):
        return repr(value if len(value) <= LONGEST else f"{value[: LONGEST - 3]}...")
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):  # its values may be secrets
        return _count(value)
    if isinstance(value, list | tuple):
        short = len(value) <= MOST_ITEMS and all(isinstance(item, str) for item in value)
        return f"[{', '.join(map(_value, value))}]" if short else _count(value)
    if isinstance(value, bool | int | float | msgspec.Struct):
        return repr(value)
    return f"<{type(value).__name__}>"


def _count(items: Collection[object]) -> str:
    return f"<{len(items)} item{'' if len(items) == 1 else 's'}>"
