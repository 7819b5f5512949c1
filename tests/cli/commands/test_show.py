"""Tests `builds-async show`."""

import re

import pytest

from builds_async import BuildStatus
from tests.cli.support import Cli, Served, builds_of


def test_show(account: Served, shop: str, cli: Cli) -> None:
    """All facts about a build are shown, such as the reason for a failure, with exit code 0."""
    bad, good = (cli("show", build.build_uuid) for build in builds_of(account, shop))
    assert (bad.code, good.code) == (0, 0)
    for fact in (
        "fail",
        "reason          Error: a",
        f"Worker          {shop} ",
        "main",
        "push_event",
        "1m 0s",
    ):
        assert fact in bad.out
    assert re.search(r"preview +https://", good.out)
    assert re.search(r"commit +c0ffee0{34}", good.out)
    assert not re.search(" $", bad.out, re.MULTILINE)
    uuid = builds_of(account, shop)[0].build_uuid
    assert cli("show", uuid, "-o", "json").records[0]["build_outcome"] == "fail"


def _with_steps(account: Served) -> str:
    """The UUID of a typical failed build with hostile lines around the reason."""
    lines = [
        "Cloning repository...",
        "Executing user build command: make",
        *(f"line {number}" for number in range(30)),
        "::error::owned \x1b[31mred",
        "Error: the cause",
        "\x1b]0;title\x07after",
        "Failed: error occurred while running build command",
    ]
    return account.do(lambda: account.sim.add_finished_build(lines, "fail")).build_uuid  # type: ignore[arg-type]


def test_steps(account: Served, cli: Cli) -> None:
    """Text and JSON show the steps with their times, and JSON also has the reason and the Worker."""
    uuid = _with_steps(account)
    assert re.search(r"\n +clone +\d+s\n +build +\d+s fail\n", cli("show", uuid).out)
    record = cli("show", uuid, "-o", "json").records[0]
    assert {it["name"]: it["outcome"] for it in record["steps"]} == {
        "initialize": "success",
        "clone": "success",
        "build": "fail",
    }
    assert all(it["seconds"] >= 0 for it in record["steps"])
    assert record["reason"] == "Error: the cause"
    assert record["worker"]
    assert "log_failed" not in record


def test_log_failed(account: Served, cli: Cli) -> None:
    """--log-failed prints up to ten lines before the reason and five after it, safe for a CI job."""
    uuid = _with_steps(account)
    out = cli("show", uuid, "--log-failed").out.splitlines()
    at = out.index("Error: the cause")
    assert out[at - 10] == "line 21"
    assert out[at + 1 :] == ["after", "Failed: error occurred while running build command"]
    assert not [line for line in out if line.lstrip().startswith("::")]
    excerpt = cli("show", uuid, "--log-failed", "-o", "json").records[0]["log_failed"]
    assert excerpt[10] == "Error: the cause"
    assert len(excerpt) == 13


def test_a_running_build(account: Served, cli: Cli) -> None:
    """The steps of a running build are shown as far as they exist, without a request that waits."""
    build = account.do(account.sim.add_build)
    account.do(lambda: build.set_status(BuildStatus.RUNNING))
    emitted = ("Cloning repository...", "Executing user build command: make", "working")
    account.do(lambda: build.emit(*emitted))
    assert re.search(r"\n +clone +\d+s\n +build +\d+s running\n", cli("show", build.build_uuid).out)
    record = cli("show", build.build_uuid, "-o", "json").records[0]
    assert record["steps"][-1]["name"] == "build"
    assert record["steps"][-1]["outcome"] is None
    assert record["reason"] is None


def test_a_queued_build(account: Served, cli: Cli) -> None:
    """The log of a queued build is not requested."""
    build = account.do(account.sim.add_build)
    account.do(account.sim.requests.clear)
    assert cli("show", build.build_uuid).code == 0
    assert not [it for it in account.sim.requests if it.path.endswith("/logs")]


def test_the_page(account: Served, shop: str, cli: Cli) -> None:
    """The address of the build's page is shown, also in JSON."""
    uuid = builds_of(account, shop)[-1].build_uuid
    page = f"{account.sim.account_id}/workers/services/view/{shop}/production/builds/{uuid}"
    assert f"dashboard       https://dash.cloudflare.com/{page}\n" in cli("show", uuid).out
    for command in ("show", "wait"):
        record = cli(command, uuid, "-o", "json").records[0]
        assert record["dashboard_url"] == f"https://dash.cloudflare.com/{page}"


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_derived_preview(output: str, shop: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The preview URL is the one that `client.preview_url` finds."""

    async def preview_url(*_: object) -> str:
        return "https://derived.workers.dev"

    monkeypatch.setattr("builds_async.client.BuildsClient.preview_url", preview_url)
    assert "https://derived.workers.dev" in cli("show", shop, "-o", output).out
