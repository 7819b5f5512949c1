"""The names of keys and channels in the engine."""

_LONGEST = 200


def checked_name(what: str, name: object) -> str:
    """Return the name of a user, group or member. TypeError or ValueError if it can't be part of a key."""
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

    In a cluster, the braces put all keys of one name on the same node.
    """
    return f"builds-async:{kind}:{{{name}}}:{part}"
