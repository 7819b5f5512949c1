"""Makes the `Call` of `client.request`. Its arguments come from the caller, so all of them are checked."""

from collections.abc import Mapping
from types import NoneType
from typing import Any, Final, TypeAlias, get_args, get_origin
from urllib.parse import quote, unquote

import msgspec

from builds_async.models.base import Model
from builds_async.models.envelope import Envelope, Exact
from builds_async.session.call import Call
from builds_async.session.decode import receipts
from builds_async.session.encode import encoded
from builds_async.session.ids import segment
from builds_async.session.redact import NOT_SHOWN, Secret, has_token_prefix, hidden, quoted
from builds_async.session.transport import HOOK

QueryValue: TypeAlias = str | int | float | bool | None
Query: TypeAlias = Mapping[str, QueryValue] | None

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


def custom_call(
    method: str,
    path: str,
    kind: Any,  # noqa: ANN401  # a type, as msgspec has it
    query: Query,
    body: object,
) -> Call[Any]:
    """The call, with a decoder for results of type `kind`.

    TypeError or ValueError for a method, path, query or body that can't be sent.
    """
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, not {method!r}")
    checked = _path(path)
    secrets = hidden(HOOK.findall(checked))
    return Call(
        method,
        Secret(checked) if secrets else checked,
        _decoder(method, kind),
        _query(query or {}),
        None if body is None else encoded(body),
        nullable=kind is None or kind in {object, Any} or NoneType in get_args(kind),
        secrets=secrets,
        hides_result=True,
    )


def _path(path: str) -> str:
    """The path with percent-encoded segments. ValueError if it would leave the API."""
    if not isinstance(path, str):
        raise TypeError(f"path must be a str, not {type(path).__name__}")
    if not path.startswith("/"):
        raise ValueError(
            "path must be the part after the base URL and begin with a slash, not"
            f" {quoted(path.partition('?')[0])}"
        )
    if "?" in path or "#" in path:
        raise ValueError(
            "path must have no query and no fragment: pass `query={...}`, and %3F or %23 in a name"
        )
    return "".join(f"/{_segment(part)}" for part in path[1:].split("/"))


def _segment(part: str) -> str:
    text = unquote(part)
    # A proxy that decodes the path once more would turn `%252e%252e` into `..`.
    if "%" in text:
        raise ValueError("path must not have a percent sign that is encoded twice, or not encoded")
    return segment(text)


def _query(parameters: Mapping[str, QueryValue]) -> str:
    return "&".join(
        f"{quote(name, safe='')}={quote(_text(name, value), safe='')}"
        for name, value in parameters.items()
        if value is not None
    )


def _text(name: str, value: QueryValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"  # as in JSON and in the API
    if not isinstance(value, str | int | float):
        raise TypeError(
            f"{name} in the query must be a str, a number, a bool or None, not {type(value).__name__}"
        )
    if has_token_prefix(text := str(value)):
        raise ValueError(f"{name} in the query: {NOT_SHOWN}; a URL must not have one")
    return text


def _decoder(method: str, kind: Any) -> msgspec.json.Decoder[Envelope[Any]]:  # noqa: ANN401  # as above
    if kind is object or kind is None:
        # Without a type, the body of a change does not matter and may be empty: the change was made.
        return receipts(Any) if method != "GET" else msgspec.json.Decoder(Envelope[Any])
    return msgspec.json.Decoder(Envelope[kind] if _is_ours(kind) else Exact[kind])


def _is_ours(kind: Any) -> bool:  # noqa: ANN401  # as above
    """Whether a type is one of our models, or a tuple of them. Only these allow values to be left out."""
    if get_origin(kind) is tuple:
        return all(part is ... or _is_ours(part) for part in get_args(kind))
    return isinstance(kind, type) and issubclass(kind, Model)
