"""A probe sends few requests, survives failures, and writes an anonymous report."""

import asyncio
import re
from typing import Any

import msgspec
import pytest

from builds_async import (
    BuildsClient,
    BuildStatus,
    CredentialKind,
    Observation,
    ProbeReport,
    RequestDone,
    RetryPolicy,
)
from builds_async.probe.asking import MOST_REQUESTS, Answer, Asker, NotAsked, Refused
from builds_async.probe.evidence import Evidence, LogPage
from builds_async.probe.passing import QUESTIONS
from builds_async.session.transport import Request, Response
from builds_async.simulator import Behavior, BuildsSimulator, Fault, TokenKind, VirtualClock
from tests.probe.support import answers, finished_log, probed, rich_account
from tests.support import ACCOUNT, TOKEN, FakeClock
from tests.support.case import cases

UNKNOWN_UUID = "8d3b7a4e-3c57-4e0a-9a39-0a3f6c0f3b11"


def states(report: ProbeReport) -> dict[str, str]:
    return {it.question: it.state for it in report.findings}


async def test_report_is_anonymous() -> None:
    """The report contains no name, id, log line or secret of the account."""
    sim = await rich_account(Behavior(status_words={"success": "Canary-Word!"}))
    report = await probed(sim, finished_log(sim))
    shown = f"{report.markdown} {msgspec.json.encode(report).decode()} {report!r}"
    assert "canary" not in shown.lower()
    assert not re.search(r"[0-9a-f]{12}", shown)
    for secret in (sim.account_id, sim.api_token, *sim.workers.values(), *sim.builds):
        assert secret not in shown
    assert answers(report)["status_words"] == "others: (an odd word)"


async def test_markdown_has_all() -> None:
    """The Markdown report lists every question, those not asked too, and puts differences first."""
    sim = await rich_account(Behavior(unknown_ids="null"))
    report = await probed(sim)
    text = report.markdown
    assert all(f"`{name}`" in text for name in (*states(report), *report.not_asked))
    assert text.index("| differs | `unknown_ids` | null |") < text.index("| holds |") < text.index("| seen |")


async def test_without_a_build_uuid() -> None:
    """Without a build UUID, the probe finds a Worker and a finished log by itself."""
    report = await probed(await rich_account(Behavior()))
    assert states(report)["last_page_cursor"] == "holds"
    assert states(report)["order"] == "holds"


async def test_a_given_build_that_does_not_exist() -> None:
    """If the given build does not exist, the probe uses the newest builds."""
    report = await probed(await rich_account(Behavior()), UNKNOWN_UUID)
    assert states(report)["last_page_cursor"] == "holds"


async def test_a_given_running_build() -> None:
    """The probe examines the running build that it is given."""
    sim = await rich_account(Behavior())
    tag = next(iter(sim.workers.values()))
    running = sim.add_build(external_script_id=tag)
    running.set_status(BuildStatus.RUNNING)
    report = await probed(sim, running.build_uuid)
    asked = [it.path for it in sim.requests if running.build_uuid in it.path and it.path.endswith("/logs")]
    assert len(asked) == 3
    assert report.is_complete


async def test_an_account_without_builds() -> None:
    """Without builds, a question that needs one is unknown with that reason, and the others are answered."""
    sim = BuildsSimulator(clock=VirtualClock())
    sim.add_worker("shop")
    report = await probed(sim)
    assert report.is_complete
    known = answers(report)
    for question in ("last_page_cursor", "queued_logs", "running_cursor", "order", "timestamp_unit"):
        assert states(report)[question] == "unknown"
        assert known[question] == "no build of the account was found"
    assert known["unknown_ids"] == "absent"


async def test_nothing_queued_or_running() -> None:
    """Without a queued or running build, the reasons say so."""
    sim = BuildsSimulator(clock=VirtualClock())
    sim.add_finished_build()
    known = answers(await probed(sim))
    assert known["queued_logs"] == "no build is queued now"
    assert known["running_cursor"] == "no build is running now"
    assert known["preview_builds"] == "the Worker has no Preview"


async def test_interrupted() -> None:
    """After an interruption, unasked questions are unknown and earlier answers are kept."""
    sim = await rich_account(Behavior())
    sent: list[Observation] = []

    def stop(observation: Observation) -> None:
        sent.append(observation)
        if sum(isinstance(it, RequestDone) for it in sent) == 6:
            task.cancel()

    async with sim.client(observer=stop) as client:
        probe = client.probe()
        task = asyncio.ensure_future(probe.run())
        with pytest.raises(asyncio.CancelledError):
            await task
        report = probe.report
    known = answers(report)
    assert not report.is_complete
    assert "was not completed" in report.markdown
    assert known["unknown_ids"] == "absent"
    assert known["last_page_cursor"] == known["unknown_script"] == "the probe was cut short"


FAULTS = ["server_error", "blocked", "not_json", "empty_body", "redirect", "reset", "cut_body", "stall"]


@pytest.mark.slow
@cases("number", [0, 3, 7, 13, 20])
@cases("kind", FAULTS)
async def test_one_failure_does_not_end_the_probe(kind: Any, number: int) -> None:
    """One failed request, of any kind at any point, leaves most questions answered and is not repeated."""
    sim = await rich_account(Behavior())
    sim.requests.clear()
    done = 0

    def count(observation: Observation) -> None:
        nonlocal done
        if isinstance(observation, RequestDone):
            done += 1
            if done == number:
                sim.fault(Fault(kind))

    if number == 0:
        sim.fault(Fault(kind))
    async with sim.client(observer=count) as client:
        report = await client.probe(finished_log(sim)).run()
    assert report.requests == len(sim.requests) <= MOST_REQUESTS
    assert sum(it.fault == kind for it in sim.requests) == 1
    assert list(states(report).values()).count("unknown") < len(QUESTIONS) / 2


async def test_a_rate_limit_ends_the_probe() -> None:
    """After a 429 no further request is sent, and the reason says so."""
    sim = await rich_account(Behavior())
    sim.requests.clear()
    sim.fault(Fault("rate_limited", path="/workers/scripts-search"))
    async with sim.client() as client:
        report = await client.probe().run()
    assert report.requests == len(sim.requests) == 3
    assert not report.is_complete
    assert answers(report)["unknown_ids"] == "the rate limit was reached"


async def test_no_network() -> None:
    """Two requests without a response end the probe, because each may take a full timeout."""
    sim = await rich_account(Behavior())
    sim.requests.clear()
    sim.fault(Fault("reset", times=100))
    async with sim.client() as client:
        report = await client.probe().run()
    assert report.requests == 2
    assert {it.state for it in report.findings} == {"unknown"}
    assert answers(report)["unknown_ids"] == "the API can't be reached"


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        (TokenKind.ACCOUNT_OWNED, "401 (12006)"),
        (TokenKind.NO_PERMISSION, "403 (10000)"),
    ],
)
async def test_refused_credentials(kind: TokenKind, refusal: str) -> None:
    """After the first refusal no other request for builds is sent."""
    sim = await rich_account(Behavior())
    report = await probed(sim, api_token=sim.add_token(kind))
    assert sum("/builds/" in it.path for it in sim.requests) == 1
    assert answers(report)["unknown_ids"] == f"the API refuses builds to these credentials: {refusal}"
    assert not report.is_complete


async def test_without_the_list_of_workers() -> None:
    """Without Workers Scripts Read, a token finds builds only through a given build."""
    sim = await rich_account(Behavior())
    token = sim.add_token(TokenKind.NO_SCRIPTS)
    assert states(await probed(sim, api_token=token))["last_page_cursor"] == "unknown"
    assert states(await probed(sim, finished_log(sim), api_token=token))["last_page_cursor"] == "holds"


async def test_last_page_of_many_builds() -> None:
    """The probe finds the oldest builds on the last page of the list."""
    sim = BuildsSimulator(clock=VirtualClock())
    tag = sim.add_worker("shop")
    for age in range(120):
        sim.add_finished_build(1, age=age * 86400.0, external_script_id=tag)
    report = await probed(sim)
    assert answers(report)["builds_kept"] == "longer: 119 days"
    assert answers(report)["order"] == "newest first"


@cases(
    "result",
    [
        None,
        [],
        {},
        "text",
        7,
        [None, 7, []],
        [{"id": [], "tag": {}, "build_uuid": [], "preview_id": 7}],
        {"builds": None},
        {"builds": [7]},
        {"lines": [7, None, []]},
    ],
    ids=repr,
)
async def test_odd_results(result: Any) -> None:
    """The probe completes, whatever the API returns."""

    class Odd:
        async def send(self, _request: Request) -> Response:
            body = msgspec.json.encode({"success": True, "result": result})
            return Response(200, {}, body)

        def check_open(self) -> None: ...

        async def aclose(self) -> None: ...

    async with BuildsClient(
        account_id=ACCOUNT, api_token=TOKEN, transport=Odd(), clock=FakeClock()
    ) as client:
        report = await client.probe(UNKNOWN_UUID).run()
    assert report.is_complete


async def test_odd_builds_and_lines() -> None:
    """Builds and pages of an odd shape cost at most their own answers."""
    odd = {"build_uuid": "x/../y", "trigger": 7, "build_trigger_metadata": [], "created_on": 3}
    fine = {
        "build_uuid": UNKNOWN_UUID,
        "trigger": {"external_script_id": "ab" * 16},
        "created_on": "yesterday",
        "stopped_on": "2026-01-01T00:00:00Z",
        "running_on": True,
        "build_trigger_metadata": {"environment_variables": [], "build_trigger_source": "Odd Word"},
    }
    pages = {"cursor": "a+b", "truncated": True, "lines": [7, ["x", None], [1, 2, 3]], "events": [7]}

    class Odd:
        async def send(self, request: Request) -> Response:
            result: Any = [odd, fine, None]
            if request.path.endswith("/logs"):
                result = pages
            elif request.path.endswith("/latest"):
                result = {"builds": {"a": odd, "b": fine, "c": None}}
            elif request.path.endswith("/workers/scripts"):
                result = [{"tag": "ab" * 16}, {"tag": None}, 7]
            return Response(200, {}, msgspec.json.encode({"success": True, "result": result}))

        def check_open(self) -> None: ...

        async def aclose(self) -> None: ...

    async with BuildsClient(
        account_id=ACCOUNT, api_token=TOKEN, transport=Odd(), clock=FakeClock()
    ) as client:
        report = await client.probe().run()
    known = answers(report)
    assert report.is_complete
    assert known["sources"] == "(an odd word)"
    assert known["cursor_characters"] == "some need percent-encoding"


def test_a_probe_without_evidence() -> None:
    """Without evidence, every question is reported as cut short."""
    seen = Evidence(CredentialKind.GLOBAL_KEY)
    for question in QUESTIONS:
        assert isinstance(question.answer(seen), NotAsked)


def page(
    lines: list[Any], cursor: str | None = None, *, truncated: bool = False, sent: str | None = None
) -> LogPage:
    return LogPage(sent, Answer({"lines": lines, "cursor": cursor, "truncated": truncated}, {}, None))


def log(*pages: LogPage) -> Evidence:
    seen = Evidence(CredentialKind.UNKNOWN)
    seen.log += pages
    return seen


def running(*pages: LogPage) -> Evidence:
    seen = Evidence(CredentialKind.UNKNOWN)
    seen.running += pages
    return seen


def twice(first: str, second: str) -> Evidence:
    seen = log(page(LINES, first))
    seen.again = page(LINES, second)
    return seen


LINES = [[1784052295481, "a"], [1784052295480, "b"]]
OF_EVIDENCE: list[tuple[str, Evidence, str]] = [
    ("cursors", twice("WzAsMzRd", "WzAsMzRd"), "array"),
    ("cursors", log(page(LINES, "eyJsaW5lIjoxfQ")), "object"),
    ("cursors", log(page(LINES, "WzAs+/Rd")), "quoted"),
    ("cursors", log(page(LINES, "a&b#c")), "raw"),
    ("cursors", log(page(LINES, "A" * 2000)), "long"),
    ("cursors", twice("WzAsMzRd", "WzEsMzRd"), "new"),
    ("cursors", log(page(LINES, "AAAA")), "other"),
    ("timestamp_order", log(page(LINES)), "back in time"),
    ("timestamp_order", log(page(LINES[:1])), "never back"),
    ("repeated_start", log(page([LINES[0], LINES[0]])), "yes"),
    ("page_size", log(page(LINES)), "at least 2 lines"),
    ("page_size", log(page(LINES, "c", truncated=True)), "2 lines"),
    ("cursor_form", log(page(LINES, "WzAsMzRd")), "a JSON list of 2 in base64"),
    ("cursor_form", log(page(LINES, "eyJsaW5lIjoxfQ")), "a JSON object of line in base64"),
    ("cursor_form", log(page(LINES, "%%%")), "opaque"),
    ("cursor_characters", log(page(LINES, "WzAsMzRd==")), "plain"),
    ("timestamp_unit", log(page([[1784052295481000, "a"]])), "smaller than milliseconds"),
    ("running_cursor", running(page(LINES, "c"), page([[3, "c"]]), page(LINES)), "newer lines only"),
    (
        "running_cursor",
        running(page(LINES, "c"), page([*LINES, [3, "c"]]), page(LINES)),
        "the same lines again",
    ),
    ("running_cursor", running(page(LINES)), "no cursor"),
    ("running_whole", running(page(LINES, "c"), page([]), page([[3, "c"]])), "other lines"),
    ("running_cursor", running(page(LINES, "c"), LogPage("c", Refused(404, (12000,)))), "404 (12000)"),
    (
        "last_page_cursor",
        log(page(LINES)),
        "the log has one page, whose cursor is null: that may be the cursor of the request",
    ),
    (
        "last_page_cursor",
        log(page(LINES, "c", truncated=True)),
        "the end of the log was not reached in 1 pages",
    ),
    (
        "truncated_hollow",
        log(page(LINES, "c", truncated=True)),
        "the end of the log was not reached in 1 pages",
    ),
]


@cases(("name", "seen", "answer"), OF_EVIDENCE, ids=[f"{name}: {answer}" for name, _, answer in OF_EVIDENCE])
def test_answers_of_evidence(name: str, seen: Evidence, answer: str) -> None:
    """Answers that the simulator never produces are reported too."""
    [question] = [it for it in QUESTIONS if it.name == name]
    found = question.answer(seen)
    assert (found.why if isinstance(found, NotAsked) else found) == answer


async def test_the_limit_is_kept() -> None:
    """A probe never exceeds its limit of requests."""
    sim = BuildsSimulator(clock=VirtualClock())
    async with sim.client() as client:
        asker = Asker(client._session, limit=2)
        replies = [await asker.ask("/builds/account/limits") for _ in range(3)]
    assert [type(reply) for reply in replies] == [Answer, Answer, NotAsked]
    assert asker.requests == len(sim.requests) == 2


async def test_single_losses_do_not_end_the_probe() -> None:
    """Only consecutive requests without a response mean that the network is down."""
    sim = BuildsSimulator(clock=VirtualClock())
    async with sim.client(retry=RetryPolicy(attempts=1)) as client:
        asker = Asker(client._session)
        for reply in (Answer, Refused, Answer):
            sim.fault(Fault("reset"))
            path = "/builds/account/limits" if reply is Answer else "/builds/nothing"
            assert isinstance(await asker.ask(path), NotAsked)
            assert isinstance(await asker.ask(path), reply)


async def test_an_endless_log_costs_few_requests() -> None:
    """Three empty pages in a row prove that a log is endless."""
    sim = BuildsSimulator(clock=VirtualClock(), behavior=Behavior(truncated_hollow="endless"))
    build = sim.add_finished_build(["x"])
    report = await probed(sim, build.build_uuid)
    assert answers(report)["truncated_hollow"] == "3 or more"
    assert sum(build.build_uuid in it.path and bool(it.query) for it in sim.requests) == 3


async def test_a_running_build_gets_time_to_write() -> None:
    """A pause between two reads of a running log lets its cursor yield new lines."""
    sim = await rich_account(Behavior(last_page_cursor="tail"))
    assert answers(await probed(sim))["running_cursor"] == "newer lines only"


async def test_a_cursor_like_a_credential_is_not_sent() -> None:
    """A cursor that looks like a token is not put into a URL, and the question is unknown."""
    sim = BuildsSimulator(clock=VirtualClock())
    async with sim.client() as client:
        reply = await Asker(client._session).ask("/builds/builds/x/logs", cursor="cfut_" + "s" * 40)
    assert isinstance(reply, NotAsked)
    assert len(sim.requests) == 0


async def test_misuse() -> None:
    """A probe runs once, and an invalid id is a ValueError before anything is sent."""
    sim = BuildsSimulator(clock=VirtualClock())
    async with sim.client() as client:
        probe = client.probe()
        await probe.run()
        with pytest.raises(RuntimeError, match="run before"):
            await probe.run()
        with pytest.raises(ValueError, match="id"):
            client.probe("a/b")
