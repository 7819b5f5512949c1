"""Pages of a log and their cursors, with each setting of the switches."""

from typing import Any, get_args
from urllib.parse import quote

import pytest

from builds_async.models import BuildOutcome, BuildStatus
from builds_async.simulator import Behavior, BuildsSimulator, Request, VirtualClock
from builds_async.simulator.behavior import CursorStyle
from tests.support.case import Case, cases


def texts(page: Any) -> list[str]:
    """The messages of a page."""
    return [text for _, text in page["lines"]]


async def test_pages_follow_each_other_by_cursor(clock: VirtualClock, door: Any) -> None:
    """Cursors lead through all lines once and in order, and `truncated` holds until the last page."""
    sim = BuildsSimulator(clock=clock, page_size=10)
    build, ask = sim.add_finished_build(35), door(sim)
    path, got, sizes, more = f"builds/{build.build_uuid}/logs", [], [], True
    cursor: dict[str, str] = {}
    while more:
        page = ask.result(path, **cursor)
        got += [tuple(line) for line in page["lines"]]
        sizes.append(len(page["lines"]))
        cursor, more = {"cursor": page["cursor"]}, page["truncated"]
    assert got == [(line.timestamp, line.message) for line in build.lines]
    assert sizes == [10, 10, 10, 5]


async def test_a_full_last_page_is_the_last(clock: VirtualClock, door: Any) -> None:
    """A full last page is not `truncated`, which means only that more lines exist."""
    sim = BuildsSimulator(clock=clock, page_size=10)
    page = door(sim).result(f"builds/{sim.add_finished_build(10).build_uuid}/logs", limit=3)
    assert (len(page["lines"]), page["truncated"]) == (10, False)


async def test_a_tail_cursor_gives_only_newer_lines(clock: VirtualClock, door: Any) -> None:
    """A tail cursor leads to an empty page until a line is written."""
    sim = BuildsSimulator(clock=clock)
    build, ask = sim.add_build(), door(sim)
    path = f"builds/{build.build_uuid}/logs"
    first = ask.result(path)
    build.emit("one")
    second = ask.result(path, cursor=first["cursor"])
    third = ask.result(path, cursor=second["cursor"])
    build.emit("two")
    fourth = ask.result(path, cursor=third["cursor"])
    assert [texts(page) for page in (first, second, third, fourth)] == [[], ["one"], [], ["two"]]
    assert third["cursor"] == second["cursor"]


@pytest.mark.parametrize("how", ["same", "null", "absent"])
async def test_without_a_tail_cursor_the_last_page_is_read_again(
    how: Any, clock: VirtualClock, door: Any
) -> None:
    """Without a tail cursor, the older cursor leads to the whole last page again, plus new lines."""
    sim = BuildsSimulator(clock=clock, page_size=2, behavior=Behavior(last_page_cursor=how))
    build, ask = sim.add_build(), door(sim)
    path = f"builds/{build.build_uuid}/logs"
    build.emit("one", "two", "three")
    cursor = ask.result(path)["cursor"]
    last = ask.result(path, cursor=cursor)
    assert ("cursor" in last) is (how != "absent")
    assert last.get("cursor") == (cursor if how == "same" else None)
    build.emit("four")
    assert texts(ask.result(path, cursor=cursor)) == ["three", "four"]


async def test_last_page_can_repeat_at_the_end(clock: VirtualClock, door: Any) -> None:
    """The last cursor leads to its own page again until a newer line exists, if the switch says so."""
    sim = BuildsSimulator(clock=clock, page_size=2, behavior=Behavior(behind_the_end="last_page"))
    build, ask = sim.add_build(), door(sim)
    path = f"builds/{build.build_uuid}/logs"
    build.emit("one", "two", "three")
    first = ask.result(path)
    last = ask.result(path, cursor=first["cursor"])
    again = [ask.result(path, cursor=last["cursor"]) for _ in range(3)]
    assert [(texts(page), page["cursor"], page["truncated"]) for page in again] == [
        (["three"], last["cursor"], False)
    ] * 3
    build.emit("four")
    assert texts(ask.result(path, cursor=last["cursor"])) == ["four"]


async def test_logs_can_expire_before_their_build(clock: VirtualClock, door: Any) -> None:
    """An expired log is a 404 with and without a cursor, and its build is still found."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(logs_kept=60.0))
    build, ask = sim.add_finished_build(3, age=59.0), door(sim)
    path = f"builds/{build.build_uuid}/logs"
    cursor = ask.result(path)["cursor"]
    await clock.sleep(1.0)
    assert [ask.error(path), ask.error(path, cursor=cursor)] == [(404, 12000)] * 2
    assert ask.result(f"builds/{build.build_uuid}")["status"] == "stopped"


async def test_a_cursor_is_likely_to_look_like_this(clock: VirtualClock, door: Any) -> None:
    """A cursor looks as seen live: Base64 of `[0,34]`, which a client may paste into a URL unquoted."""
    sim = BuildsSimulator(clock=clock)
    path = f"builds/{sim.add_finished_build(34).build_uuid}/logs"
    assert door(sim).result(path)["cursor"] == "WzAsMzRd"


@pytest.mark.parametrize(
    ("style", "characters"),
    [("quoted", "+/="), ("raw", '&=#%?+ ;"[é'), ("object", ""), ("array", ""), ("new", ""), ("long", "")],
)
async def test_a_cursor_that_must_be_quoted(
    style: Any, characters: str, clock: VirtualClock, door: Any
) -> None:
    """A cursor with special characters fails when it is pasted into a URL, and works when quoted."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(cursors=style), page_size=5)
    build, ask = sim.add_finished_build(12), door(sim)
    path = f"builds/{build.build_uuid}/logs"
    cursor = ask.result(path)["cursor"]
    assert set(characters) <= set(cursor)
    target = f"/client/v4/accounts/{sim.account_id}/builds/{path}?cursor="
    headers = {"authorization": f"Bearer {sim.api_token}"}
    raw, quoted = (sim.answer(Request(target=target + c, headers=headers)) for c in (cursor, quote(cursor)))
    assert (raw.status, quoted.status) == (400 if style in {"quoted", "raw"} else 200, 200)
    assert texts(ask.result(path, cursor=cursor)) == [f"line {number} of 12" for number in range(6, 11)]


async def test_a_new_cursor_in_each_response(clock: VirtualClock, door: Any) -> None:
    """Each response has a new cursor for the same place, if the switch says so."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(cursors="new"))
    path, ask = f"builds/{sim.add_finished_build(3).build_uuid}/logs", door(sim)
    cursors = [ask.result(path)["cursor"]]
    for _ in range(3):
        page = ask.result(path, cursor=cursors[-1])
        assert page["lines"] == []
        cursors.append(page["cursor"])
    assert len(set(cursors)) == 4


@cases(
    "cursor",
    [
        pytest.param("", id="empty"),
        pytest.param("garbage", id="no base64"),
        pytest.param("WzAsMzQwMF0=", id="beyond the end"),
        pytest.param("WzAsLTFd", id="negative"),
        pytest.param("WzAgLDBd", id="a blank in it"),
        pytest.param("WzAsMCwiPj4+Pj4iXQ==", id="a foreign salt"),
        pytest.param("e30=", id="an empty object"),
        pytest.param("bnVsbA==", id="null"),
        pytest.param("NQ==", id="a number"),
        pytest.param("[]", id="raw, and empty"),
        pytest.param("[0,1,null,null]", id="raw, and without its salt"),
    ],
)
async def test_a_foreign_cursor_is_refused(cursor: str, clock: VirtualClock, door: Any) -> None:
    """A foreign cursor is a 400 with 12013 like any bad query, in every style of cursors."""
    for style in get_args(CursorStyle):
        sim = BuildsSimulator(clock=clock, behavior=Behavior(cursors=style))
        path = f"builds/{sim.add_finished_build(9).build_uuid}/logs"
        with Case(style):
            assert door(sim).error(path, cursor=cursor) == (400, 12013)


@pytest.mark.parametrize("how", ["empty", "not_found"])
async def test_the_log_of_a_queued_build(how: Any, clock: VirtualClock, door: Any) -> None:
    """The log of a queued build is an empty page or a 404, and the build itself is found."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(queued_logs=how))
    build, ask = sim.add_build([(5, BuildStatus.INITIALIZING)]), door(sim)
    path = f"builds/{build.build_uuid}"
    assert ask.result(path)["status"] == "queued"
    if how == "empty":
        assert ask.result(f"{path}/logs")["lines"] == []
    else:
        assert ask.error(f"{path}/logs") == (404, 12000)
    await clock.sleep(5.0)
    assert ask.result(f"{path}/logs")["lines"] == []


@pytest.mark.parametrize("lines", [0, 5, 20], ids=str)
@pytest.mark.parametrize("hollow", [1, 3], ids=str)
async def test_hollow_pages_stand_before_the_end(
    hollow: int, lines: int, clock: VirtualClock, door: Any
) -> None:
    """Hollow pages, empty and truncated with new cursors, come before the end of the log."""
    sim = BuildsSimulator(clock=clock, page_size=10, behavior=Behavior(truncated_hollow=hollow))
    ask, path = door(sim), f"builds/{sim.add_finished_build(lines).build_uuid}/logs"
    pages = [ask.result(path)]
    while pages[-1]["truncated"]:
        pages.append(ask.result(path, cursor=pages[-1]["cursor"]))
    assert sum(len(page["lines"]) for page in pages) == lines
    empty = [page for page in pages if not page["lines"]]
    assert [page["truncated"] for page in empty] == [True] * (hollow - (lines > 0)) + [False]
    assert len({page["cursor"] for page in pages[:-1]}) == len(pages) - 1
    assert ask.result(path, cursor=pages[-1]["cursor"]) == pages[-1]


async def test_new_lines_are_followed_by_hollow_pages_again(clock: VirtualClock, door: Any) -> None:
    """Hollow pages follow each time that a reader has caught up, even while a build runs."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(truncated_hollow=1))
    build, ask, seen = sim.add_build(), door(sim), []
    path = f"builds/{build.build_uuid}/logs"
    build.emit("one")
    page = ask.result(path)
    for text in (None, None, "two", None, None):
        if text:
            build.emit(text)
        page = ask.result(path, cursor=page["cursor"])
        seen.append((texts(page), page["truncated"]))
    assert seen == [([], False), ([], False), (["two"], True), ([], False), ([], False)]


@pytest.mark.parametrize(
    "behavior",
    [
        Behavior(truncated_hollow="endless"),
        Behavior(truncated_hollow=1, hollow_cursor="unchanged"),
    ],
    ids=["moving", "unchanged"],
)
async def test_hollow_pages_can_be_endless(behavior: Behavior, clock: VirtualClock, door: Any) -> None:
    """Hollow pages can be endless, whether the cursor moves or not."""
    sim = BuildsSimulator(clock=clock, behavior=behavior)
    ask, path = door(sim), f"builds/{sim.add_finished_build(5).build_uuid}/logs"
    cursor, cursors = ask.result(path)["cursor"], set[str]()
    for _ in range(100):
        page = ask.result(path, cursor=cursor)
        assert (page["truncated"], page["lines"]) == (True, [])
        cursor = page["cursor"]
        cursors.add(cursor)
    assert len(cursors) == (100 if behavior.hollow_cursor == "moving" else 1)


async def test_a_page_without_lines_can_be_null(clock: VirtualClock, door: Any) -> None:
    """A page without lines has a null `result` with success, if the switch says so."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(null_logs_result=True))
    build, ask = sim.add_build(), door(sim)
    path = f"builds/{build.build_uuid}/logs"
    assert ask.result(path) is None
    build.emit("one")
    page = ask.result(path)
    assert texts(page) == ["one"]
    assert ask.result(path, cursor=page["cursor"]) is None


async def test_late_lines_come_after_the_end(clock: VirtualClock, door: Any) -> None:
    """Late lines become readable after the build has stopped with its outcome."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(late_lines=2.0))
    build = sim.add_build([(1, "early"), (9, "late"), (10, "last"), (10, BuildOutcome.SUCCESS)])
    ask, path, seen = door(sim), f"builds/{build.build_uuid}", {}
    for moment in (9.0, 10.0, 11.0, 12.0):
        await clock.sleep(moment - clock.now())
        seen[moment] = (ask.result(path)["build_outcome"], texts(ask.result(f"{path}/logs")))
    assert seen == {
        9.0: (None, ["early"]),
        10.0: ("success", ["early"]),
        11.0: ("success", ["early", "late"]),
        12.0: ("success", ["early", "late", "last"]),
    }
    assert len(build.lines) == 3


async def test_a_script_can_write_after_its_end(clock: VirtualClock, door: Any) -> None:
    """A script can write a line after its end, without a switch."""
    sim = BuildsSimulator(clock=clock)
    build = sim.add_build([(1, "line"), (1, BuildOutcome.SUCCESS), (2, "late")])
    path = f"builds/{build.build_uuid}/logs"
    await clock.sleep(1.0)
    assert texts(door(sim).result(path)) == ["line"]
    await clock.sleep(1.0)
    assert texts(door(sim).result(path)) == ["line", "late"]


@pytest.mark.parametrize(("unit", "digits"), [("milliseconds", 13), ("seconds", 10)])
async def test_the_unit_of_timestamps(unit: Any, digits: int, clock: VirtualClock, door: Any) -> None:
    """Timestamps are in the switch's unit, over the API and in `lines`."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(timestamp_unit=unit))
    build = sim.add_finished_build(1)
    ((timestamp, _),) = door(sim).result(f"builds/{build.build_uuid}/logs")["lines"]
    assert (timestamp, len(str(timestamp))) == (build.lines[0].timestamp, digits)


async def test_the_log_has_its_phases(clock: VirtualClock, door: Any) -> None:
    """`events` has the initializing phase from its start, and then its end."""
    sim = BuildsSimulator(clock=clock)
    build = sim.add_build([(1, BuildStatus.INITIALIZING), (3, BuildStatus.RUNNING)])
    ask, path, seen = door(sim), f"builds/{build.build_uuid}/logs", []
    for _ in range(4):
        seen.append(ask.result(path)["events"])
        await clock.sleep(1.0)
    assert seen[0] == []
    assert [(events[0]["type"], bool(events[0]["ended_on"])) for events in seen[1:]] == [
        ("initializing", False),
        ("initializing", False),
        ("initializing", True),
    ]
