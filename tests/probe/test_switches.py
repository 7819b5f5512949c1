"""The probe detects the setting of each simulator switch, or says why reading can't tell."""

from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

from builds_async.probe.asking import MOST_REQUESTS
from builds_async.probe.passing import NOT_ASKED, QUESTIONS
from builds_async.simulator import Behavior, TokenKind
from tests.probe.support import DAY, answers, finished_log, probed, rich_account
from tests.support.case import cases

KEY = {"api_email": "canary@example.com", "api_key": "c" * 37}
NO_OLDER = "the oldest build that was found is 2 days old"

# By switch and setting: the probe's answer, or its reason for having none.
SWITCHES: dict[str, list[tuple[Any, str]]] = {
    "last_page_cursor": [("tail", "tail"), ("same", "same"), ("null", "null"), ("absent", "absent")],
    "cursors": [(it, it) for it in ("array", "object", "quoted", "raw", "long", "new")],
    "behind_the_end": [("nothing", "nothing"), ("last_page", "last_page")],
    "logs_kept": [(None, "there after 100 days"), (30 * DAY, "gone after 100 days")],
    "builds_kept": [(None, "longer: 100 days"), (90 * DAY, NO_OLDER)],
    "queued_logs": [("empty", "empty"), ("not_found", "not_found")],
    "truncated_hollow": [(0, "0"), (1, "1"), (2, "2"), ("endless", "3 or more")],
    "hollow_cursor": [("moving", "moving"), ("unchanged", "unchanged")],
    "null_logs_result": [(False, "a page"), (True, "null")],
    "late_outcome": [(0.0, "set"), ("never", "never")],
    "unknown_ids": [("absent", "absent"), ("null", "null")],
    "unknown_worker": [("empty", "empty"), ("not_found", "not_found")],
    "deleted_triggers": [("gone", "gone"), ("listed", "listed")],
    "started_source": [("manual", "manual"), ("api", "api")],
    "hook_source": [("deploy_hook", "deploy_hook"), ("manual", "manual"), ("api", "api")],
    "preview_builds": [("apart", "apart"), ("listed", "listed")],
    "unknown_script": [(10007, "10007"), (10090, "10090")],
    "undeployed_search": [(False, "no Worker that was never deployed was found"), (True, "found")],
    "account_owned_queues": [(True, "accepted"), (False, "refused 401 (12006)")],
    "environment_variables": [("objects", "objects"), ("strings", "strings"), ("null", "null")],
    "timestamp_unit": [("milliseconds", "milliseconds"), ("seconds", "seconds")],
    "status_words": [({}, "documented"), ({"stopped": "over", "fail": "failure"}, "others: failure, over")],
    "ansi_codes": [("kept", "kept"), ("stripped", "no line had colors")],
    "rate_limit_headers": [(True, "present"), (False, "absent")],
    "email_key_pair": [(True, "accepted"), (False, "refused 401 (12006)")],
}
# Other settings that a switch needs to have an effect.
ALSO: dict[str, dict[str, Any]] = {"hollow_cursor": {"truncated_hollow": 2}}


def every_switch() -> list[Any]:
    return [
        pytest.param(switch, setting, answer, id=f"{switch}={setting}")
        for switch, settings in SWITCHES.items()
        for setting, answer in settings
    ]


@pytest.mark.slow
@cases(("switch", "setting", "answer"), every_switch())
async def test_switch(switch: str, setting: Any, answer: str) -> None:
    """The question named after a switch is answered with its setting, within 30 reads."""
    sim = await rich_account(Behavior(**{switch: setting}, **ALSO.get(switch, {})), **KEY)
    options: dict[str, Any] = {}
    if switch == "email_key_pair":
        options = dict(KEY)
    elif switch == "account_owned_queues":
        options = {"api_token": sim.add_token(TokenKind.ACCOUNT_OWNED)}
    report = await probed(sim, finished_log(sim), **options)
    assert answers(report)[switch] == answer
    assert report.requests == len(sim.requests) <= MOST_REQUESTS
    assert {request.method for request in sim.requests} == {"GET"}


def test_every_switch_is_judged() -> None:
    """Every switch of the simulator is in the table or has a reason why reading can't tell."""
    switches = {field.name for field in msgspec.structs.fields(Behavior)}
    assert SWITCHES.keys() | NOT_ASKED.keys() == switches
    assert SWITCHES.keys() & NOT_ASKED.keys() == set()
    assert SWITCHES.keys() <= {question.name for question in QUESTIONS}


@cases("switch", SWITCHES)
def test_every_setting_has_its_own_answer(switch: str) -> None:
    """The table has every setting of a switch, with a distinct answer for each."""
    kind = next(it.type for it in msgspec.structs.fields(Behavior) if it.name == switch)
    settings = [setting for setting, _ in SWITCHES[switch]]
    parts = [kind] if get_origin(kind) is Literal else get_args(kind)
    wanted = [value for part in parts if get_origin(part) is Literal for value in get_args(part)]
    wanted += [True, False] if kind is bool else []
    assert [value for value in wanted if value not in settings] == []
    assert getattr(Behavior(), switch) in settings
    assert len({answer for _, answer in SWITCHES[switch]}) == len(settings) >= 2


async def test_defaults_hold() -> None:
    """Every assumption holds against the simulator's defaults with builds kept for 90 days."""
    sim = await rich_account(Behavior(builds_kept=90 * DAY))
    report = await probed(sim, finished_log(sim))
    assert [it.question for it in report.findings if it.state == "differs"] == []
    assert report.is_complete
