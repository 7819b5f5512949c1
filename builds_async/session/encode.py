"""The content of a request: bodies as JSON, queries as text."""

from urllib.parse import quote

import msgspec

from builds_async.session.redact import SecretBytes


def encoded(value: object) -> bytes:
    """`value` as a JSON body. Its `repr` is hidden, so that no traceback shows a secret in it."""
    return SecretBytes(msgspec.json.encode(value))


def body(**fields: object) -> bytes:
    """`fields` as a JSON object. Fields that are UNSET are left out, and None is null."""
    return encoded({name: it for name, it in fields.items() if it is not msgspec.UNSET})


def query(**parameters: str | int | None) -> str:
    """`parameters` as a percent-encoded query. Those that are None are left out."""
    return "&".join(
        f"{name}={quote(str(value), safe='')}" for name, value in parameters.items() if value is not None
    )
