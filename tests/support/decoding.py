"""JSON as it is decoded from a response."""

from typing import Any

import msgspec

from builds_async import Build


def decoded(wire: Any, kind: Any = Build) -> Any:
    """`wire` as JSON, decoded strictly as a `kind`."""
    return msgspec.json.decode(msgspec.json.encode(wire), type=kind)
