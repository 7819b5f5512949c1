"""Secrets: kept out of tracebacks, and removed from texts that may contain them."""

import re
from collections.abc import Iterable

from builds_async.models.diagnosis import CredentialKind

TOKEN_KINDS = {
    "cfut": CredentialKind.USER_TOKEN,
    "cfat": CredentialKind.ACCOUNT_TOKEN,
    "cfoat": CredentialKind.OAUTH_TOKEN,
}
"""The prefixes of Cloudflare's tokens, without their underscore. Older tokens have none."""

KEY_PREFIX = "cfk"  # of the global keys
_PREFIXED = re.compile(rf"(?:{'|'.join([*TOKEN_KINDS, KEY_PREFIX])})_[A-Za-z0-9_-]{{16,}}")
# Older tokens: 30 characters or more, with upper case, lower case and a digit. Older keys: 37 hex digits.
_RANDOM = re.compile(
    r"(?<![\w-])(?:(?=[A-Z0-9_-]*[a-z])(?=[a-z0-9_-]*[A-Z])(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{30,}|[0-9a-f]{37})"
    r"(?![\w-])"
)

NOT_SHOWN = "the value looks like a credential and is not shown"


class Secret(str):
    """A text that keeps itself out of `repr`, and so out of tracebacks that show local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class SecretBytes(bytes):
    """A body that keeps itself out of `repr`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def hidden(secrets: Iterable[str]) -> tuple[Secret, ...]:
    """Secrets of a call that no traceback shows."""
    return tuple(map(Secret, secrets))


def has_token_prefix(value: str) -> bool:
    """Whether a text begins like one of Cloudflare's tokens or keys."""
    return _PREFIXED.match(value) is not None


def quoted(value: str) -> str:
    """A value that a caller passed, for a message: in quotes, or not shown if it may be a credential.

    A credential has a prefix of Cloudflare's, or is as long and as random as the older tokens and the global
    keys.
    """
    if _PREFIXED.search(value) or _RANDOM.search(value):
        return f"({NOT_SHOWN})"
    return repr(value)


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` from a server without the credentials that it echoes.

    A credential that no text contains by chance is removed wherever it stands. One that reads like a word or
    a number, as tests have them, is removed only where a credential stands: behind `Bearer`, `X-Auth-Key:`,
    `token`, `key` and similar words. Ordinary messages stay intact. Whatever has the form and the prefix of a
    token of Cloudflare's is removed as well, no matter whose.
    """
    for secret in secrets:
        if secret and secret in text:
            text = _pattern(secret).sub(r"\g<1>***", text)
    return _PREFIXED.sub("***", text) if "cf" in text else text


def unmistakable(secrets: Iterable[str]) -> tuple[str, ...]:
    """The credentials that no text contains by chance: where one stands in a URL, it was passed as an id."""
    return tuple(secret for secret in secrets if not _reads_like_a_word(secret))


def _pattern(secret: str) -> re.Pattern[str]:
    """Finds a credential; group 1 is what introduces it and stays."""
    if not _reads_like_a_word(secret):
        return re.compile(f"(){re.escape(secret)}")
    return re.compile(rf"(\b{_INTRODUCTION}){re.escape(secret)}(?![\w-])")


_INTRODUCTION = (
    r"""(?i:bearer|authorization|x-auth-key|token|key|secret)["']?(?:\s*[:=]\s*|\s+|%20|\+)["']?"""
)


def _reads_like_a_word(secret: str) -> bool:
    """Whether a text may contain it by chance. Real ones mix letters of both cases and digits at random."""
    return secret.isdigit() or (
        secret.isalpha() and (secret[1:].islower() or secret.isupper() or not secret[1:])
    )
