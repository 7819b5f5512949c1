"""The URL of an engine: the part that may be shown, and the secrets in it."""

from contextlib import suppress
from urllib.parse import parse_qs, unquote, urlsplit

SCHEMES = ("redis", "rediss", "unix")
HIDDEN = "***"


def shown(url: str) -> str:
    """The URL without user, password and options, for messages."""
    scheme, found, rest = url.partition("://")
    if not found or scheme not in SCHEMES:
        return "the engine"
    # An unescaped `@`, `/`, `?` or `#` in a password moves where a parser ends the host: cut at the last `@`.
    place = rest.rpartition("@")[2]
    return f"{scheme}://{place.partition('?')[0].partition('#')[0]}"


def secrets(url: str) -> tuple[str, ...]:
    """The password in the URL, as written and decoded, longest first: none of these may be shown."""
    _, _, rest = url.partition("://")
    userinfo, found, _ = rest.rpartition("@")
    written = [userinfo.partition(":")[2]] if found else []
    with suppress(ValueError):  # not a valid URL: then only the part before the last `@` is known
        written += parse_qs(urlsplit(url).query).get("password", [])
    both = {form for it in written for form in (it, unquote(it)) if form}
    return tuple(sorted(both, key=len, reverse=True))


def has_password(url: str) -> bool:
    """Whether there is a password in the URL."""
    return bool(secrets(url))


def redacted(text: str, hidden: tuple[str, ...]) -> str:
    """`text` without any of the hidden words."""
    for word in hidden:
        text = text.replace(word, HIDDEN)
    return text
