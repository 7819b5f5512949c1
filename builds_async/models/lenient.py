"""The second look at an odd answer: JSON with odd bytes, and values of another type, field by field.

The typed decode comes first and is all that a good answer needs. Only what it refuses is read here. An odd
value costs at most itself:

- A value of another type is converted where nothing is lost by it: a number to the text that is due, a
  numeric text to a number, `"true"` to True, epoch seconds or milliseconds to a date. A date without a zone
  is UTC.
- Else the field becomes None, or takes its default where it can't be None.
- An element of a list or map that can't be used is left out. A model can't be used without its identity,
  which is the field that has no default.
- A field that a model lists as `_essential` is what the model is for: if what it has can't be read, the
  model can't be used.
- A model may have a class method `_normalized(value, note)`, for what takes more than the type of one field:
  it gives the value as it should have been, and calls `note` with the place of whatever it leaves out.

`losses` lists what was left out, by field names only, never by content.
"""

import json
import math
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, inspect

T = TypeVar("T")

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_END: Final = 100_000_000_000  # as seconds this is the year 5138; as milliseconds, 1973
_LARGEST: Final = 1e300
_DIGITS: Final = 64  # more are no id and no number that anything here counts
_NUMBER: Final = re.compile(r"\s*[+-]?\d{1,64}(?:\.\d{0,64})?\s*", re.ASCII)
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_WORDS: Final = {"true": True, "false": False}


class Unusable(ValueError):  # noqa: N818  # never leaves the package
    """A value can't be read as what is due."""


class Loss(NamedTuple):
    """Something that was left out: where, in field names, and under which key if it was part of a map."""

    place: str
    key: str | None = None


Losses = list[Loss]
_Value: TypeAlias = Any
"""JSON, or what is made of it."""

Note = Callable[[str], None]


def loads(body: bytes | str) -> object:
    """`body` as JSON, though it may have what JSON forbids within a text.

    Bytes that are not UTF-8 and lone surrogates become U+FFFD, raw control characters stay, and a number of
    more than 64 digits is infinite. ValueError or RecursionError for what is no JSON. Takes linear time.
    """
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    value = json.loads(text.removeprefix("\ufeff"), strict=False, parse_int=_integer)
    return _without_surrogates(value) if _SURROGATE_ESCAPE.search(text) else value


def first_items(start: bytes, most: int) -> list[object]:
    """The first items of a JSON array of which `start` is the start, at most `most`.

    Reading ends at the first item that is no JSON or is not there to its end. What is no array has none.
    """
    text = start.decode("utf-8", "replace")
    found: list[object] = []
    at, opening = 0, "["
    while len(found) < most:
        separator = _SEPARATOR.match(text, at)
        if separator is None or separator[1] != opening:
            break
        try:
            item, at = _ITEMS.raw_decode(text, separator.end())
        except (ValueError, RecursionError):
            break
        found.append(_without_surrogates(item))
        opening = ","
    return found


def convert(value: object, kind: type[T], losses: Losses | None = None) -> T:
    """`value` as a `kind`, which is a model or another type of a field. `Unusable` if it can't be read so."""
    return _read(value, _type_info(kind), "", [] if losses is None else losses)  # type: ignore[arg-type, no-any-return]


def convert_or_none(value: object, kind: type[T]) -> T | None:
    """The same, and None where `convert` raises."""
    with suppress(Unusable):
        return convert(value, kind)
    return None


def moment(number: float) -> datetime:
    """Epoch seconds, or smaller units, as an aware UTC datetime; the size of the number tells the unit.

    Every number gives a date that each time zone can show: what lies before the calendar gives its second
    day, and what is no number gives 1970.
    """
    if not abs(number) < _LARGEST:  # also NaN
        return EPOCH
    seconds = max(number, _FIRST_SECOND)
    while seconds >= _SECONDS_END:
        seconds /= 1000
    return EPOCH + timedelta(seconds=seconds)


_FIRST_SECOND: Final = (datetime(1, 1, 2, tzinfo=UTC) - EPOCH).total_seconds()


def number_in(text: str) -> int | float | None:
    """The number that a text is, None if it is none."""
    if not _NUMBER.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)


def number_of(value: _Value) -> int | float | None:
    """A number, or the one that a text is. True and False are none."""
    if isinstance(value, str):
        return number_in(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _LARGEST else None  # NaN is not


def date_in(text: str) -> datetime | None:
    """The date that a text is, aware; UTC where it names no zone. None if it is none."""
    if (number := number_in(text)) is not None:
        return _date_of(number)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _date_of(number: float) -> datetime | None:
    # 0 stands for no date, in every API that counts seconds; nothing of ours was there before.
    return moment(number) if 0 < number < _LARGEST else None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else math.inf


_SEPARATOR: Final = re.compile(r"[ \t\r\n]*+([\[,])[ \t\r\n]*+")
_ITEMS: Final = json.JSONDecoder(strict=False, parse_int=_integer)


def _without_surrogates(value: _Value) -> _Value:
    """The same value with U+FFFD for each surrogate that stands alone: it can't be encoded, nor printed."""
    if isinstance(value, str):
        return value if value.isascii() else _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


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
    return _SCALARS[type(kind)](value, kind)


def _read_union(value: _Value, kind: inspect.UnionType, place: str, losses: Losses) -> _Value:
    if value is None and _takes_none(kind):
        return None
    known = len(losses)
    for one in kind.types:
        try:
            return _read(value, one, place, losses)
        except Unusable:
            del losses[known:]
    raise Unusable


def _read_struct(value: _Value, kind: inspect.StructType, place: str, losses: Losses) -> _Value:
    model = getattr(kind.cls, "__origin__", kind.cls)
    if normalize := getattr(model, "_normalized", None):
        value = normalize(value, lambda name: losses.append(Loss(f"{place}.{name}")))
    with suppress(msgspec.ValidationError):
        return msgspec.convert(value, kind.cls)  # most elements of an odd list are good
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
    """The value of a field, UNSET if its default holds. `Unusable` for one that is needed."""
    value = fields.get(field.encode_name, UNSET)
    takes_none = _takes_none(field.type)
    if value is UNSET or (value is None and not takes_none):  # null: there is none
        if field.required:
            raise Unusable
        return UNSET
    place, known = f"{place}.{field.encode_name}", len(losses)
    try:
        return _read(value, field.type, place, losses)
    except Unusable:
        if needed:
            raise
    del losses[known:]
    losses.append(Loss(place))
    return None if takes_none else UNSET


def _takes_none(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.UnionType) and kind.includes_none


def _read_list(value: _Value, kind: inspect.Type, place: str, losses: Losses) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise Unusable
    if isinstance(kind, inspect.StructType):
        with suppress(msgspec.ValidationError):
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
        text = str(int(number) if float(number).is_integer() else number)
    else:
        raise Unusable
    if len(text) < (kind.min_length or 0):
        raise Unusable
    return text


def _boolean(value: _Value, _: object) -> bool:
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, str):
        word = _WORDS.get(word)
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
        found = None if number is None else _date_of(number)
    if found is None:
        raise Unusable
    return found


def _word(value: _Value, kind: _Value) -> _Value:
    if not isinstance(value, str):
        raise Unusable
    return kind.cls(value)


def _as_it_is(value: _Value, _: object) -> _Value:
    return value


def _null(value: _Value, _: object) -> None:
    if value is not None:
        raise Unusable


_SCALARS: Final[dict[type[inspect.Type], Callable[[Any, Any], Any]]] = {
    inspect.AnyType: _as_it_is,
    inspect.CustomType: _as_it_is,  # `object`
    inspect.StrType: _text,
    inspect.BoolType: _boolean,
    inspect.IntType: _whole,
    inspect.FloatType: _real,
    inspect.DateTimeType: _date,
    inspect.EnumType: _word,
    inspect.NoneType: _null,
    inspect.RawType: lambda value, _: msgspec.Raw(msgspec.json.encode(value)),
}
