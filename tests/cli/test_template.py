"""Tests templates: the fields of each command, invalid templates, and safe values."""

import json
from functools import partial

import pytest

from builds_async import Build, BuildOutcome, BuildTriggerMetadata
from builds_async.cli.exits import CommandError
from builds_async.cli.facts import (
    BUILD_FIELDS,
    EVENT_FIELDS,
    LINE_FIELDS,
    LOG_FIELDS,
    STATUS_FIELDS,
    build_facts,
)
from builds_async.cli.template import Template, make_template
from tests.cli.support import UUID, Cli, Served, builds_of

FIELDS = ("build", "outcome")
FACTS = {"build": "8b2c1f0e", "outcome": "success"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{build} {outcome}", "8b2c1f0e success"),
        ("{outcome:<10}|{outcome:>10}|{outcome:.3}", "success   |   success|suc"),
        (r"{build}\t{outcome}\n\\n\d", "8b2c1f0e\tsuccess\n\\n\\d"),
        ("{{{build}}}", "{8b2c1f0e}"),
        ("", ""),
        ("plain\\", "plain\\"),
    ],
    ids=["fields", "formats", "escapes", "braces", "empty", "backslash"],
)
def test_template(text: str, line: str) -> None:
    """A template has fields with text formats, escapes and doubled braces."""
    assert Template(text, FIELDS).line(FACTS) == line


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{nosuch}", "no field 'nosuch'; the fields are build, outcome"),
        ("{}", "no field ''; the fields are build, outcome"),
        ("{0}", "no field '0'"),
        ("{build.__class__}", "no field 'build.__class__'"),
        ("{build[0]}", r"no field 'build\[0\]'"),
        ("{build!r}", "has a conversion, !r, but each field is text"),
        ("{build:{outcome}}", "the format of 'build' contains a field"),
        ("{build:d}", "[Uu]nknown format code 'd'"),
        ("{build:>99999999999}", "wider than 1000"),
        ("{build", "expected '}' before end of string"),
        ("}", "Single '}'"),
    ],
)
def test_invalid_template(text: str, problem: str) -> None:
    """An invalid field is an error before anything is printed, and an unknown one lists all fields."""
    with pytest.raises(CommandError, match=problem):
        Template(text, FIELDS)


def test_values_are_safe() -> None:
    """A value can't control the terminal, start a line or be a template itself."""
    hostile = {"build": "\x1b[2J\x1b]0;t\x07\n::error::x\u202e", "outcome": "{build} {0} \\n"}
    line = Template("{build}|{outcome}", FIELDS).line(hostile)
    assert line == "^[[2J^[]0;t^G^J::error::x\\u202e|{build} {0} \\n"


def test_a_value_is_no_command_of_a_job(account: Served, cli: Cli) -> None:
    """In a pipe, a line that starts with a value is never a command of a CI job."""
    build = account.do(lambda: account.sim.add_finished_build(["::error::owned", "\x1b[31mred"]))
    run = cli("logs", build.build_uuid, "--template", "{message}")
    assert run.out == ": :error::owned\nred\n"


@pytest.mark.parametrize("command", ["status", "list", "show", "wait", "logs", "tail", "events"])
def test_errors_of_the_command(command: str, cli: Cli, account: Served) -> None:
    """A template without text, with another output or with an unknown field is a usage error."""
    word = account.do(account.sim.add_queue) if command == "events" else UUID
    for options, problem in (
        (("-o", "template"), "--output template needs --template"),
        (("-o", "json", "--template", "x"), "--template goes with --output template, not json"),
        (("--template", "{nosuch}"), "no field 'nosuch'; the fields are "),
    ):
        run = cli(command, word, *options)
        assert (run.code, run.out) == (2, "")
        assert problem in run.err


def test_fields_of_a_build(account: Served, shop: str, cli: Cli) -> None:
    """All commands for builds have the facts of a build; `show` and `wait` add those of its log."""
    tag = account.sim.workers[shop]
    bad, good = builds_of(account, shop)
    text = (
        "{build} {build_uuid} {worker} {external_script_id} {outcome} {status} {branch} {commit} {duration}"
    )
    uuid = good.build_uuid
    line = f"{uuid[:8]} {uuid} {shop} {tag} success stopped main c0ffee00 60\n"
    for command in ("status", "show", "wait"):
        assert cli(command, shop, "-o", "template", "--template", text).out == line
    listed = cli("list", shop, "--template", "{outcome} {dashboard_url}").out.splitlines()
    page = (
        f"https://dash.cloudflare.com/{account.sim.account_id}/workers/services/view/{shop}/production/builds"
    )
    assert listed == [f"success {page}/{uuid}", f"fail {page}/{bad.build_uuid}"]
    for command in ("show", "wait"):
        assert cli(command, bad.build_uuid, "--template", "{reason}").out == "Error: a\n"
    assert cli("show", good.build_uuid, "--template", "{preview_url}").out.endswith(".workers.dev\n")


@pytest.mark.parametrize("command", ["show", "wait"])
def test_the_lines_around_the_reason(command: str, account: Served, shop: str, cli: Cli) -> None:
    """--log-failed prints its lines after the line of the template."""
    uuid = builds_of(account, shop)[0].build_uuid
    assert cli(command, uuid, "--log-failed", "--template", "{outcome}").out == "fail\nError: a\n"


def test_a_worker_without_builds(account: Served, cli: Cli) -> None:
    """A Worker without builds has its name and tag, and no other fact."""
    tag = account.do(lambda: account.sim.add_worker("unbuilt"))
    text = "{worker} {external_script_id} [{build}] {outcome} [{error}]"
    assert cli("status", "unbuilt", "--template", text).out == f"unbuilt {tag} [] never built []\n"


@pytest.mark.parametrize("command", ["logs", "tail"])
def test_fields_of_a_line(command: str, account: Served, shop: str, cli: Cli) -> None:
    """`logs` and `tail` have the build, the Worker, the message and the time in --timezone of a line."""
    uuid = builds_of(account, shop)[0].build_uuid
    text = "{build} {worker} {time} {message}"
    run = cli(command, uuid, "--timezone", "Asia/Tokyo", "--template", text)
    build, worker, time, message = run.out.rstrip("\n").split(" ", 3)
    assert (build, worker, message) == (uuid[:8], shop, "Error: a")
    assert time.endswith("+09:00")
    stamp = json.loads(cli(command, uuid, "-o", "json").out)["timestamp"]
    assert cli(command, uuid, "--template", "{timestamp}").out == f"{stamp}\n"


def test_wait_follow(account: Served, shop: str, cli: Cli) -> None:
    """With --follow, the template applies to the lines and has their fields."""
    uuid = builds_of(account, shop)[0].build_uuid
    assert cli("wait", uuid, "--follow", "--template", "> {message}").out == "> Error: a\n"
    assert "no field 'outcome'" in cli("wait", uuid, "--follow", "--template", "{outcome}").err


def test_fields_of_an_event(account: Served, cli: Cli) -> None:
    """`events` has the type and the time of an event, and the facts of its build."""
    queue = account.do(account.sim.add_queue)
    build = account.do(account.sim.add_build)
    account.do(partial(build.finish, BuildOutcome.FAIL))
    text = "{type} {build_uuid} {outcome} {branch} {time} {dashboard_url}"
    kind, uuid, outcome, branch, time, page = cli(
        "events", queue, "--limit", "1", "--template", text
    ).out.split()
    assert kind.endswith(".failed")
    assert (uuid, outcome, branch) == (build.build_uuid, "fail", "main")
    assert time.endswith("Z")
    assert page.endswith(f"/production/builds/{build.build_uuid}")


def test_every_field_has_a_value() -> None:
    """Each field that a command offers has a value."""
    metadata = BuildTriggerMetadata(branch="main", commit_message="\nFix it\n\nBecause.")
    build = Build(build_uuid=UUID, build_outcome=BuildOutcome.FAIL, build_trigger_metadata=metadata)
    facts = build_facts(build, worker="shop", page="https://x", reason="no", preview_url="https://y")
    assert facts.keys() == {*BUILD_FIELDS, *LOG_FIELDS}
    assert facts["message"] == "Fix it"
    assert {*STATUS_FIELDS} - {*BUILD_FIELDS} == {"error"}
    assert {*EVENT_FIELDS} - {*BUILD_FIELDS} == {"type", "time"}
    assert {*LINE_FIELDS} >= {"build", "message"}


def test_without_a_template() -> None:
    """Other outputs have no template."""
    assert make_template("json", None, FIELDS) is None
