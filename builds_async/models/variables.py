"""The variables that a build sees."""

import re
from collections.abc import Mapping
from typing import ClassVar

from builds_async.models.base import Body, Discreet

MAX_VALUE = 5000
"""How many characters the value of a variable may have."""


class NewVariable(Discreet, Body, frozen=True, kw_only=True):
    """A variable to set. With `is_secret` its value is hidden once it is saved, and in `repr`.

    ValueError for a value of more than 5,000 characters.
    """

    _secret: ClassVar[str] = "value"  # noqa: S105  # the name of the field

    value: str
    is_secret: bool = False

    def __post_init__(self) -> None:
        if len(self.value) > MAX_VALUE:
            raise ValueError(f"a variable has at most {MAX_VALUE} characters, not {len(self.value)}")

    def _is_secret(self) -> bool:
        return self.is_secret


_LONGEST_SHOWN = 30  # what is longer may be a credential


def checked_name(name: str) -> str:
    """`name`, if a variable can have it, else ValueError."""
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        shown = repr(name) if len(name) <= _LONGEST_SHOWN else "what was passed (it is not shown, it is long)"
        raise ValueError(
            f"{shown} can't name a variable: letters, digits and underscores, and no digit at the beginning"
        )
    return name


def new_variables(variables: Mapping[str, str | NewVariable]) -> dict[str, NewVariable]:
    """`variables` as they are sent, their names checked; a plain text is a value that is no secret."""
    return {checked_name(name): _variable(value) for name, value in variables.items()}


def changed_variables(
    variables: Mapping[str, str | NewVariable | None],
) -> dict[str, NewVariable | None]:
    """The same for a change, where None deletes a variable."""
    return {
        checked_name(name): None if value is None else _variable(value) for name, value in variables.items()
    }


def _variable(value: str | NewVariable) -> NewVariable:
    if isinstance(value, str):
        return NewVariable(value=value)
    if not isinstance(value, NewVariable):
        raise TypeError(f"a variable is a text or a NewVariable, not {type(value).__name__}")
    return value


def secret_values(variables: Mapping[str, str | NewVariable | None]) -> tuple[str, ...]:
    """The values that no error may tell."""
    return tuple(it.value for it in variables.values() if isinstance(it, NewVariable) and it.is_secret)
