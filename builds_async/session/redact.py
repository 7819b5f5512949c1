"""Hides secrets in tracebacks, and removes them from texts that may contain them."""

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
_RANDOM = (
    r"(?<![\w-])(?:(?=[A-Z0-9_-]*[a-z])(?=[a-z0-9_-]*[A-Z])(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{30,}|[0-9a-f]{37})"
    r"(?![\w-])"
)

NOT_SHOWN = "the value looks like a credential and is not shown"


class Secret(str):
    """A text whose `repr` is hidden, so that tracebacks that print local variables do not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class SecretBytes(bytes):
    """A body whose `repr` is hidden."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def hidden(secrets: Iterable[str]) -> tuple[Secret, ...]:
    """The secrets of a call, hidden in tracebacks."""
    return tuple(map(Secret, secrets))


def has_token_prefix(value: str) -> bool:
    """Whether a text begins like one of Cloudflare's tokens or keys."""
    return _PREFIXED.match(value) is not None


def quoted(value: str) -> str:
    """A value that a caller passed, for a message: in quotes, or not shown if it may be a credential.

    A credential has one of Cloudflare's prefixes, or is as long and random as older tokens and global keys.
    """
    if _PREFIXED.search(value) or re.search(_RANDOM, value):
        return f"({NOT_SHOWN})"
    return repr(value)


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` from a server, with `***` for the credentials that it echoes.

    A real credential never appears in a text by chance, so it is replaced everywhere. A credential that reads
    like a word or a number, as in tests, is replaced only after `Bearer`, `X-Auth-Key:`, `token`, `key` and
    similar words, so that ordinary messages stay intact. Any text with the form and the prefix of a
    Cloudflare token is replaced too, whoever owns the token.
    """
    for secret in secrets:
        if secret and secret in text:
            text = _pattern(secret).sub(r"\g<1>***", text)
    return _PREFIXED.sub("***", text) if "cf" in text else text


def unmistakable(secrets: Iterable[str]) -> tuple[str, ...]:
    """The credentials that never appear in a text by chance. One in a URL was passed in place of an id."""
    return tuple(secret for secret in secrets if not _reads_like_a_word(secret))


def _pattern(secret: str) -> re.Pattern[str]:
    """A pattern for a credential. Group 1 is the text before the credential, which is kept."""
    if not _reads_like_a_word(secret):
        return re.compile(f"(){re.escape(secret)}")
    return re.compile(rf"(\b{_INTRODUCTION}){re.escape(secret)}(?![\w-])")


_INTRODUCTION = (
    r"""(?i:bearer|authorization|x-auth-key|token|key|secret)["']?(?:\s*[:=]\s*|\s+|%20|\+)["']?"""
)


def _reads_like_a_word(secret: str) -> bool:
    """Whether a text may contain it by chance. A real credential is a random mix of digits and letters."""
    return secret.isdigit() or (
        secret.isalpha() and (secret[1:].islower() or secret.isupper() or not secret[1:])
    )
