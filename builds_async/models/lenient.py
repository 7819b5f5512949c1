"""The lenient pass: reads JSON into a model, field by field, after the strict decode has failed.

Valid responses need only the strict decode. The lenient pass reads a response that failed it, and leaves out
only the unreadable values themselves:

- A value of another type is converted if that loses nothing: a number to a string, a numeric string to a
  number, `"true"` to True, epoch seconds or milliseconds to a date. A date without a time zone is UTC.
- Otherwise the field becomes None, or takes its default if it can't be None.
- An unusable element of a list or map is left out. A model is unusable without the fields that have no
  default, such as its id.
- A model is also unusable if a field in its `_essential` is present but unreadable: the rest is worthless
  without that field, and its default would be false.
- A model may have a class method `_normalized(value, note)` for repairs that involve more than one field. It
  returns the repaired value, and calls `note` with the place of each value that it leaves out.

`losses` lists the values that were left out by their field names, never by content, which may be secret.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, inspect

from builds_async.models.scalars import date_in, date_of, number_of

T = TypeVar("T")

_TRUTHS: Final = {"true": True, "false": False}


class Unusable(ValueError):  # noqa: N818  # never leaves the package
    """The value can't be read as the expected type."""


class Loss(msgspec.Struct, frozen=True):
    """A value that was left out: its place as field names, and its key if it was an entry of a map."""

    place: str
    key: str | None = None


Losses = list[Loss]
_Value: TypeAlias = Any
"""A JSON value, or the value that it was converted to."""


def convert(value: object, kind: type[T], losses: Losses | None = None) -> T:
    """Convert `value` to `kind`: a model, or the type of a field. `Unusable` if that is impossible.

    Values that are left out are appended to `losses`.
    """
    return _read(value, _type_info(kind), "", [] if losses is None else losses)  # type: ignore[arg-type, no-any-return]


def convert_or_none(value: object, kind: type[T]) -> T | None:
    """Convert `value` to `kind` as above, but return None in place of `Unusable`."""
    with suppress(Unusable):
        return convert(value, kind)
    return None


@lru_cache(maxsize=256)
def _type_info(kind: _Value) -> inspect.Type:
    return inspect.type_info(kind)


def _read(value: _Value, kind: inspect.Type, place: str, losses: Losses) -> _Value:
    match kind:
        case inspect.Metadata():
            return _read(value, kind.type, place, losses)
        case inspect.UnionType():
            return _read_union(value, kind, place, losses)
        case inspect.StructType():
            return _read_struct(value, kind, place, losses)
        case inspect.VarTupleType():
            return _read_list(value, kind.item_type, place, losses)
        case inspect.DictType():
            return _read_map(value, kind.value_type, place, losses)
    return _SCALARS[type(kind)](value, kind)  # a KeyError means that a model uses an unsupported type


def _read_union(value: _Value, kind: inspect.UnionType, place: str, losses: Losses) -> _Value:
    if value is None and _takes_none(kind):
        return None
    for alternative in kind.types:
        # A failed alternative leaves no losses behind: msgspec allows only one alternative for objects and
        # one for lists. If that one fails, so does the union, and the caller drops the losses.
        with suppress(Unusable):
            return _read(value, alternative, place, losses)
    raise Unusable


def _read_struct(value: _Value, kind: inspect.StructType, place: str, losses: Losses) -> _Value:
    model = getattr(kind.cls, "__origin__", kind.cls)  # `Envelope` for `Envelope[Build]`
    if normalize := getattr(model, "_normalized", None):
        value = normalize(value, lambda name: losses.append(Loss(f"{place}.{name}")))
    with suppress(msgspec.ValidationError):
        return msgspec.convert(value, kind.cls)  # most elements of such a list are valid
    # A log line is a struct in the form of an array, without field names: `LogPage._normalized` repairs it.
    if kind.array_like or not isinstance(value, dict):
        raise Unusable
    essential = getattr(model, "_essential", ())
    found = {}
    for field in kind.fields:
        needed = field.required or field.name in essential
        read = _read_field(value, field, place, losses, needed=needed)
        if read is not UNSET:
            found[field.name] = read
    return model(**found)


def _read_field(
    fields: dict[str, Any], field: inspect.Field, place: str, losses: Losses, *, needed: bool
) -> _Value:
    """The value of a field; UNSET if its default applies. `Unusable` if required and unreadable."""
    value = fields.get(field.encode_name, UNSET)
    takes_none = _takes_none(field.type)
    if value is UNSET or (value is None and not takes_none):  # null counts as absent
        if field.required:
            raise Unusable
        return UNSET
    place, known = f"{place}.{field.encode_name}", len(losses)
    try:
        return _read(value, field.type, place, losses)
    except Unusable:
        if needed:
            raise
    del losses[known:]  # one loss for the field, not one for each value inside it
    losses.append(Loss(place))
    return None if takes_none else UNSET


def _takes_none(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.UnionType) and kind.includes_none


def _read_list(value: _Value, kind: inspect.Type, place: str, losses: Losses) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise Unusable
    if isinstance(kind, inspect.StructType):
        with suppress(msgspec.ValidationError):  # in one step if all are valid: a log may have 100,000 lines
            return msgspec.convert(value, tuple[kind.cls, ...])  # type: ignore[name-defined]
    found, loss = [], Loss(f"{place}[]")
    for item in value:
        known = len(losses)
        try:
            found.append(_read(item, kind, loss.place, losses))
        except Unusable:
            del losses[known:]
            losses.append(loss)
    return tuple(found)


def _read_map(value: _Value, kind: inspect.Type, place: str, losses: Losses) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unusable
    found = {}
    for key, item in value.items():
        known = len(losses)
        try:
            found[key] = _read(item, kind, f"{place}{{}}", losses)
        except Unusable:
            del losses[known:]
            losses.append(Loss(f"{place}{{}}", key))
    return found


def _text(value: _Value, kind: _Value) -> str:
    if isinstance(value, str):
        text = value
    elif (number := number_of(value)) is not None:
        text = str(int(number) if float(number).is_integer() else number)  # the id 5.0 is "5"
    else:
        raise Unusable
    if len(text) < (kind.min_length or 0):
        raise Unusable
    return text


def _boolean(value: _Value, _: object) -> bool:
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, str):
        word = _TRUTHS.get(word)
    if word is True or word is False:
        return word
    if isinstance(word, int) and word in (0, 1):
        return bool(word)
    raise Unusable


def _whole(value: _Value, _: object) -> int:
    number = number_of(value)
    if number is None or number != int(number):
        raise Unusable
    return int(number)


def _real(value: _Value, _: object) -> int | float:
    number = number_of(value)
    if number is None:
        raise Unusable
    return number


def _date(value: _Value, _: object) -> datetime:
    if isinstance(value, str):
        found = date_in(value)
    else:
        number = number_of(value)
        found = None if number is None else date_of(number)
    if found is None:
        raise Unusable
    return found


def _word(value: _Value, kind: _Value) -> _Value:
    if not isinstance(value, str):
        raise Unusable
    return kind.cls(value)


def _as_is(value: _Value, _: object) -> _Value:
    return value


def _null(value: _Value, _: object) -> None:
    if value is not None:
        raise Unusable


_SCALARS: Final[dict[type[inspect.Type], Callable[[Any, Any], Any]]] = {
    inspect.AnyType: _as_is,
    inspect.CustomType: _as_is,  # `object`
    inspect.StrType: _text,
    inspect.BoolType: _boolean,
    inspect.IntType: _whole,
    inspect.FloatType: _real,
    inspect.DateTimeType: _date,
    inspect.EnumType: _word,
    inspect.NoneType: _null,
    inspect.RawType: lambda value, _: msgspec.Raw(msgspec.json.encode(value)),
}
