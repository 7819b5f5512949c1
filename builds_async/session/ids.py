"""Ids: checked and normalized where they enter."""

import re
from collections.abc import Iterable
from urllib.parse import quote

from builds_async.session.redact import NOT_SHOWN, has_token_prefix, quoted

MAX_IDS = 20
"""The maximum number of ids in one request of a bulk lookup. With more, the API responds with 400."""

UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
"""The pattern of a UUID, in lower or upper case."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_NORMAL = re.compile(r"(?!cf)[a-z0-9_-]+").fullmatch  # an id that needs no change, and is no credential
_TAG = re.compile(r"[0-9a-fA-F]{32}").fullmatch
_UUID = re.compile(UUID).fullmatch


def segment(value: str) -> str:
    """`value` as one percent-encoded segment of a path. ValueError if it can't be one.

    A credential that was pasted in place of an id is refused: it is neither sent in a URL nor shown.
    """
    if not isinstance(value, str):
        raise TypeError(f"an id must be a str, not {type(value).__name__}")
    if has_token_prefix(value):
        raise ValueError(f"{NOT_SHOWN}: pass the id; if it is a credential, revoke it: it may be in logs")
    if _PLAIN(value):
        return value
    # A slash is refused, not encoded: a proxy may decode it, and then sees another path.
    if value in {"", ".", ".."} or "/" in value or "\\" in value:
        raise ValueError(f"{quoted(value)} can't be an id: it is empty or would leave its place in the path")
    return quote(value, safe="")


def identifier(value: str) -> str:
    """An id in the API's spelling, as one segment of a path. ValueError if it can't be one.

    UUIDs and ids of 32 hex digits become lowercase. For the name of a Worker, use `segment`.
    """
    if isinstance(value, str) and _NORMAL(value):  # nearly all ids, and every call does this
        return value
    return normalized_id(segment(value))


def normalized_id(value: str) -> str:
    """An id in the API's spelling: a UUID, or an id of 32 hex digits, becomes lowercase."""
    return value.lower() if _UUID(value) or _TAG(value) else value


def is_uuid(value: str) -> bool:
    """Whether a text is a UUID, in lower or upper case."""
    return _UUID(value) is not None


def is_id(value: str) -> bool:
    """Whether a text can be an id in a path."""
    try:
        segment(value)
    except ValueError:
        return False
    return True


def is_bulk_id(value: str) -> bool:
    """Whether a text can be an id of a bulk lookup, which separates ids by commas."""
    return is_id(value) and "," not in value


def id_list(values: Iterable[str]) -> str:
    """`values` as the comma-separated list of a bulk lookup. ValueError if one can't be an id."""
    if isinstance(values, str):
        raise TypeError("pass a list of ids, not one str, whose characters would count as ids")
    encoded = []
    for value in values:
        encoded.append(segment(value))
        if "," in value:
            raise ValueError(f"{quoted(value)} can't be an id: it contains a comma; pass ids one by one")
    return ",".join(encoded)


def checked_ids(values: Iterable[str]) -> tuple[str, ...]:
    """`values` unchanged, if each can be an id of a bulk lookup; else the error of `id_list`."""
    ids = values if isinstance(values, str) else tuple(values)
    id_list(ids)
    return tuple(ids)


def checked_tags(values: Iterable[str]) -> tuple[str, ...]:
    """`values` unchanged, if each can be the tag of a Worker; else ValueError."""
    if isinstance(values, str):
        raise TypeError("pass a list of tags, not one str, whose characters would count as tags")
    tags = tuple(values)
    for value in tags:
        tag(value)
    return tags


def is_tag(value: str) -> bool:
    """Whether `value` can be the tag of a Worker: 32 hex digits."""
    return _TAG(value) is not None


def tag(value: str) -> str:
    """A Worker's tag in the API's spelling. ValueError if it can't be one."""
    if not (isinstance(value, str) and is_tag(value)):
        segment(value)
        raise ValueError(
            f"{quoted(value)} is not the tag of a Worker (32 hex digits); if it is a Worker name,"
            " look up its tag with client.workers.tags"
        )
    return value.lower()
