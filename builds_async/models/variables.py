"""Environment variables of builds, in requests."""

import re
from collections.abc import Mapping
from typing import ClassVar

from builds_async.models.base import Body, RedactedRepr

MAX_VALUE = 5000
"""The maximum length of the value of a variable, in characters."""

# A longer "name" may be a credential in the wrong argument, so errors do not show it.
_LONGEST_SHOWN_NAME = 30


class NewVariable(RedactedRepr, Body, frozen=True, kw_only=True):
    """A variable to set. The repr redacts the value of a secret. ValueError above 5,000 characters."""

    _secret: ClassVar[str] = "value"  # noqa: S105  # the name of the field

    value: str
    """The value that the build sees, at most 5,000 characters."""
    is_secret: bool = False
    """Whether the API hides the saved value. Builds can still read it."""

    def __post_init__(self) -> None:
        if len(self.value) > MAX_VALUE:
            raise ValueError(f"a variable must have at most {MAX_VALUE} characters, not {len(self.value)}")

    def _is_secret(self) -> bool:
        return self.is_secret


def checked_name(name: str) -> str:
    """`name`, if it is a valid name of a variable; else ValueError."""
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        shown = repr(name) if len(name) <= _LONGEST_SHOWN_NAME else "this name (not shown: it is long)"
        raise ValueError(
            f"{shown} can't name a variable: use letters, digits and underscores, and no digit first"
        )
    return name


def new_variables(variables: Mapping[str, str | NewVariable]) -> dict[str, NewVariable]:
    """Variables for a request, with checked names. A plain str is a value that is not secret."""
    return {checked_name(name): _variable(value) for name, value in variables.items()}


def changed_variables(
    variables: Mapping[str, str | NewVariable | None],
) -> dict[str, NewVariable | None]:
    """Variables for an update, with checked names. None deletes a variable."""
    return {
        checked_name(name): None if value is None else _variable(value) for name, value in variables.items()
    }


def _variable(value: str | NewVariable) -> NewVariable:
    if isinstance(value, str):
        return NewVariable(value=value)
    if not isinstance(value, NewVariable):
        raise TypeError(f"a variable is a str or a NewVariable, not {type(value).__name__}")
    return value


def secret_values(variables: Mapping[str, str | NewVariable | None]) -> tuple[str, ...]:
    """The secret values, for redaction: no error may show them."""
    return tuple(it.value for it in variables.values() if isinstance(it, NewVariable) and it.is_secret)
