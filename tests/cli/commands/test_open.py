"""Tests `builds-async open`."""

import webbrowser

import pytest

from builds_async import BuildOutcome
from builds_async.cli import browsing
from tests.cli.support import Cli, Run, Served, builds_of


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were opened in a desktop browser."""
    for name in ("CI", "BROWSER", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    made: list[str] = []

    def browser(address: str) -> bool:
        made.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", browser)
    return made


def test_open(account: Served, shop: str, cli: Cli, opened: list[str]) -> None:
    """The page of a build is printed and opened; with --print it is only printed."""
    uuid = builds_of(account, shop)[-1].build_uuid
    page = f"/{account.sim.account_id}/workers/services/view/{shop}/production/builds/{uuid}"
    for word in (uuid, shop):
        assert cli("open", word) == Run(0, f"https://dash.cloudflare.com{page}\n", "")
    assert opened == [f"https://dash.cloudflare.com{page}"] * 2
    assert cli("open", shop, "--print") == Run(0, f"https://dash.cloudflare.com{page}\n", "")
    assert len(opened) == 2


def test_open_a_preview(account: Served, shop: str, cli: Cli, opened: list[str]) -> None:
    """--preview opens the preview URL of the build; without one, nothing is opened."""
    bad, good = builds_of(account, shop)
    run = cli("open", good.build_uuid, "--preview")
    assert run.code == 0
    assert opened == [run.out.strip()]
    assert opened[0].endswith(".workers.dev")
    missing = cli("open", bad.build_uuid, "--preview")
    assert (missing.code, missing.out) == (2, "")
    assert "has no preview URL" in missing.err
    running = account.do(account.sim.add_build)
    assert "it has no preview URL yet" in cli("open", running.build_uuid, "--preview").err
    assert len(opened) == 1


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "javascript:alert(1)", "-private https://x", "https://a b", "https://x\x1b[2J"],
)
def test_a_hostile_preview(
    address: str, account: Served, cli: Cli, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address other than plain https is neither opened nor printed."""

    async def preview_url(*_: object) -> str:
        return address

    monkeypatch.setattr("builds_async.client.BuildsClient.preview_url", preview_url)
    build = account.do(lambda: account.sim.add_finished_build(outcome=BuildOutcome.SUCCESS))
    run = cli("open", build.build_uuid, "--preview")
    assert (run.code, run.out, opened) == (2, "", [])
    assert "is not an https address" in run.err
    assert "\x1b" not in run.err


@pytest.mark.parametrize(
    ("environ", "platform", "why"),
    [
        ({"DISPLAY": ":0"}, "linux", None),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", None),
        ({}, "linux", "no display"),
        ({}, "darwin", None),
        ({}, "win32", None),
        ({"SSH_CONNECTION": "1"}, "darwin", "SSH"),
        ({"SSH_TTY": "/dev/pts/0"}, "linux", "SSH"),
        ({"SSH_TTY": "/dev/pts/0", "DISPLAY": "localhost:10.0"}, "linux", None),
        ({"SSH_TTY": "/dev/pts/0", "BROWSER": "helper"}, "linux", None),
        ({"CI": "true", "DISPLAY": ":0", "BROWSER": "helper"}, "linux", "CI"),
    ],
    ids=str,
)
def test_browser_detection(environ: dict[str, str], platform: str, why: str | None) -> None:
    """A browser is available on a desktop and where BROWSER names one, but not in CI or over SSH."""
    problem = browsing.why_no_browser(environ, platform)
    assert problem is None if why is None else why in str(problem)


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("failure", [False, webbrowser.Error("none"), OSError("gone")], ids=repr)
def test_browser_that_fails_to_start(failure: bool | Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """A browser that can't be started is reported, and is no error."""

    def browser(_address: str) -> bool:
        if isinstance(failure, Exception):
            raise failure
        return failure

    browsing.open_address("https://example.com", browser)
    assert capsys.readouterr().err == "not opened: no browser could be started\n"
