"""The names of keys and channels in the engine."""

_LONGEST = 200


def checked_name(what: str, name: object) -> str:
    """A user, a group or a member as it stands in keys. TypeError or ValueError if it can't."""
    if not isinstance(name, str):
        raise TypeError(f"{what} must be a string, not {type(name).__name__}")
    if not name or len(name) > _LONGEST or not name.isprintable() or set("{}|") & set(name):
        raise ValueError(
            f"{what} must be 1 to {_LONGEST} printable characters without braces and |, not"
            f" {name[:_LONGEST]!r}"
        )
    return name


def key(kind: str, name: str, part: str) -> str:
    """The key of one part of the state of a user or a group.

    The braces keep all keys of one name together, should the engine ever be split.
    """
    return f"builds-async:{kind}:{{{name}}}:{part}"
