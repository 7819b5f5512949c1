"""What endpoints get and give, and what several of them do with it."""

import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from builds_async.simulator.messages import Request
from builds_async.simulator.records import Json, Trigger, Worker
from builds_async.simulator.refusals import BadBodyError, BadQueryError, UnknownError
from builds_async.simulator.state import State

T = TypeVar("T")

MAX_PER_PAGE: Final = 200
TAG_LENGTH: Final = 32
_TOO_LONG: Final = 10


class Call(NamedTuple):
    """A routed request: what its path names, and what it asks."""

    state: State
    names: dict[str, str]
    request: Request

    @property
    def now(self) -> float:
        """The clock's seconds."""
        return self.state.calendar.now()


class Reply(NamedTuple):
    """What an endpoint gives back."""

    result: object
    result_info: Json | None = None
    messages: Sequence[object] = ()
    status: int = 200


def read(call: Call, kind: type[T]) -> T:
    """The body of a request.

    Raises:
        BadBodyError: It is no JSON, or of another shape.
    """
    try:
        return msgspec.json.decode(call.request.body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadBodyError from error


def number(call: Call, parameter: str, default: int, largest: int = sys.maxsize) -> int:
    """A positive whole number of the query."""
    text = call.request.query.get(parameter, str(default))
    value = int(text) if text.isascii() and text.isdigit() and len(text) < _TOO_LONG else 0
    if not 1 <= value <= largest:
        raise BadQueryError
    return value


def choice(call: Call, parameter: str, words: Sequence[str]) -> str:
    """One word of several in the query; the first is the default."""
    word = call.request.query.get(parameter, words[0])
    if word not in words:
        raise BadQueryError
    return word


def paged(
    call: Call, items: Sequence[T], body: Callable[[T], Json], default: int = 50, largest: int = MAX_PER_PAGE
) -> Reply:
    """The page of a list that the query asks for."""
    page, per_page = number(call, "page", 1), number(call, "per_page", default, largest)
    shown = items[(page - 1) * per_page : page * per_page]
    info = {
        "next_page": page * per_page < len(items),
        "page": page,
        "per_page": per_page,
        "count": len(shown),
        "total_count": len(items),
        "total_pages": -(-len(items) // per_page),
    }
    return Reply([body(item) for item in shown], info)


def known(things: dict[str, T], name: str) -> T:
    """The thing of that id.

    Raises:
        UnknownError: There is none.
    """
    thing = things.get(name)
    if thing is None:
        raise UnknownError
    return thing


def find_worker(call: Call) -> Worker:
    """The Worker whose tag the path names."""
    return known(call.state.scripts, call.names["script_tag"])


def listed_worker(call: Call) -> Worker | None:
    """The same for a list; None if it shall be empty for lack of such a Worker."""
    tag = call.names["script_tag"]
    if tag not in call.state.scripts and (
        len(tag) != TAG_LENGTH or call.state.behaviour.unknown_worker == "not_found"
    ):
        raise UnknownError
    return call.state.scripts.get(tag)


def find_trigger(call: Call) -> Trigger:
    """The trigger that the path names."""
    return known(call.state.registry.triggers, call.names["trigger_uuid"])
