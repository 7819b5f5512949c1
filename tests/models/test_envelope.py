"""The envelope around a response, and pages of lists."""

import msgspec

from builds_async import (
    Page,
    ResultInfo,
)
from builds_async.models.envelope import Envelope
from tests.support.case import cases
from tests.support.decoding import decoded


def test_page() -> None:
    """A page of a list can be iterated, indexed and counted."""
    page = Page(result=("a", "b"))
    assert (list(page), len(page), page[0], page[-1]) == (["a", "b"], 2, "a", "b")
    assert not Page[str]()


def test_null_result() -> None:
    """A null result differs from a missing one."""
    assert decoded({"result": None}, Envelope[int]).result is None
    assert decoded({}, Envelope[int]).result is msgspec.UNSET


def test_result_info() -> None:
    """The paging info decodes as captured live, with a boolean `next_page`."""
    wire = {"next_page": True, "page": 1, "per_page": 2, "count": 2, "total_count": 87, "total_pages": 44}
    assert decoded(wire, ResultInfo) == ResultInfo(
        next_page=True, page=1, per_page=2, count=2, total_count=87, total_pages=44
    )
    assert decoded({}, ResultInfo) == decoded(dict.fromkeys(wire), ResultInfo) == ResultInfo()


@cases("messages", [None, [], ["text"], [{"code": 1, "message": "m", "type": None}], "?"])
def test_messages(messages: object) -> None:
    """The `messages` of a response may have any type."""
    assert decoded({"success": True, "messages": messages, "result": 1}, Envelope[int]).result == 1
