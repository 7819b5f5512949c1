"""Checks the numbers that callers pass. The error names the argument."""

from math import inf

_LONGEST = 1e9  # about thirty years: longer timers overflow in the event loop


def seconds(name: str, value: object, *, above_zero: bool = False, infinite: bool = False) -> float:
    """`value` as a number of seconds. TypeError if it is not a number, ValueError if it is not a duration."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {_shown(value)}")
    if (
        not value >= 0
        or (above_zero and value == 0)
        or (value > _LONGEST and not (infinite and value == inf))
    ):
        bound = "above 0 s" if above_zero else "at least 0 s"
        most = "or infinite" if infinite else "and finite"
        raise ValueError(f"{name} must be {bound} {most}, not {value}")
    return float(value)


def whole(name: str, value: object, *, at_least: int) -> int:
    """`value` as a whole number. TypeError if it is not one, ValueError if it is too small."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {_shown(value)}")
    if value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, not {value}")
    return value


def fraction(name: str, value: object) -> float:
    """`value` as a number from 0 to below 1. TypeError if it is not a number, else ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number from 0 to below 1, not a {type(value).__name__}")
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be a number from 0 to below 1, not {value}")
    return value


def _shown(value: object) -> str:
    """The invalid value for an error. Of a text only its type, because it may be a misplaced secret."""
    return repr(value) if value is None or isinstance(value, bool | float) else type(value).__name__
