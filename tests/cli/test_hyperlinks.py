"""Tests the hyperlinks of terminals: which terminals get them, and that text of a build never is one."""

import io

import pytest

from builds_async.cli.hyperlinks import hyperlink, is_address, wants_links, without_links
from builds_async.cli.tables import cell, linked
from builds_async.cli.terminal import Screen
from tests.cli.support import Cli, Served, Terminal, builds_of

PAGE = "https://dash.cloudflare.com/x?a=b&c=[d]"
LINKS = {"FORCE_HYPERLINK": "1"}


@pytest.mark.parametrize(
    ("environ", "has_links"),
    [
        ({}, False),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM_PROGRAM": "Apple_Terminal"}, False),
        ({"TERM_PROGRAM": "iTerm.app", "TERM_PROGRAM_VERSION": "3.0.15"}, False),
        ({"TERM_PROGRAM": "iTerm.app", "TERM_PROGRAM_VERSION": "3.5.0beta1"}, True),
        ({"TERM_PROGRAM": "iTerm.app"}, False),
        ({"TERM_PROGRAM": "WezTerm", "TERM_PROGRAM_VERSION": "20240203-110809-5046fc22"}, True),
        ({"TERM_PROGRAM": "vscode", "TERM_PROGRAM_VERSION": "1.90.2"}, True),
        ({"TERM_PROGRAM": "vscode", "TERM_PROGRAM_VERSION": "1.71.9"}, False),
        ({"TERM_PROGRAM": "ghostty"}, True),
        ({"VTE_VERSION": "5000"}, False),
        ({"VTE_VERSION": "7600"}, True),
        ({"VTE_VERSION": "what"}, False),
        ({"WT_SESSION": "0"}, True),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "foot-extra"}, True),
        ({"TERM": "dumb", "WT_SESSION": "0"}, False),
        ({"CI": "true", "WT_SESSION": "0"}, False),
        ({"TERM": "tmux-256color", "VTE_VERSION": "7600"}, False),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.3a"}, False),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.4"}, True),
        ({"TERM": "screen", "WT_SESSION": "0"}, False),
        ({"NO_COLOR": "1", "WT_SESSION": "0"}, True),
        ({"FORCE_HYPERLINK": "0", "WT_SESSION": "0"}, False),
        ({"FORCE_HYPERLINK": "", "WT_SESSION": "0"}, True),
        ({"FORCE_HYPERLINK": "1", "TERM": "dumb"}, True),
    ],
    ids=str,
)
def test_wants_links(environ: dict[str, str], has_links: bool) -> None:
    """Terminals that are known to support links get them, and a pipe only with FORCE_HYPERLINK."""
    assert wants_links(is_tty=True, environ=environ) is has_links
    forced = environ.get("FORCE_HYPERLINK") == "1"
    assert wants_links(is_tty=False, environ=environ) is forced


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (PAGE, True),
        ("https://a.b.workers.dev", True),
        ("http://a.b", False),
        ("https://", False),
        ("https://-x", False),
        ("https://a b", False),
        ("https://a\x1b\\", False),
        ("https://a\n", False),
        ("https://a/\u202e", False),
        ("https://a/'", False),
        (f"https://{'a' * 2000}", False),
        ("", False),
        (None, False),
    ],
    ids=repr,
)
def test_is_address(text: str | None, valid: bool) -> None:
    """An address is https and has only characters that nothing interprets."""
    assert is_address(text) is valid


def screen_of(data: io.BytesIO, *, color: bool, links: bool) -> Screen:
    screen = Screen(Terminal(data, "utf-8"))
    screen.color, screen.links = color, links
    return screen


@pytest.mark.parametrize("color", [True, False], ids=["color", "no color"])
@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_links_of_text_and_tables(color: bool, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link is written if the terminal supports links, with or without color; otherwise its text is."""
    monkeypatch.setenv("TERM", "xterm")
    data = io.BytesIO()
    screen = screen_of(data, color=color, links=links)
    screen.write(f"{screen.link('one', PAGE)}\n")
    screen.print(linked(cell("two", "red"), PAGE))
    written = data.getvalue().decode()
    one, two = written.splitlines()
    assert one == (hyperlink("one", PAGE) if links else "one")
    assert without_links(two) == ("\x1b[31mtwo\x1b[0m" if color else "two")
    assert (f";{PAGE}\x1b\\" in two) is links


def test_foreign_links_are_inert() -> None:
    """A link in the text of a build is made visible and is never a target, even next to a real link."""
    data = io.BytesIO()
    screen = screen_of(data, color=True, links=True)
    theirs = "\x1b]8;;https://evil.example\x1b\\x\x1b]8;;\x1b\\"
    screen.write(f"{screen.link('mine', PAGE)} {theirs}\n")
    assert screen.link("x", f"{PAGE}\x1b\\{theirs}") == "x"
    assert screen.link("x", None) == "x"
    shown = without_links(data.getvalue().decode())
    assert shown.startswith("mine ^[]8;;https://evil.example^[\\x")
    assert "\x1b]" not in shown


@pytest.mark.parametrize("command", ["status", "list", "show"])
def test_builds_are_links(
    command: str, account: Served, shop: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The UUID of a build is a link to its page, without an extra request."""
    uuid = builds_of(account, shop)[-1].build_uuid
    requests = []
    for forced in ("0", "1"):
        monkeypatch.setenv("FORCE_HYPERLINK", forced)
        account.do(account.sim.requests.clear)
        out = cli(command, shop).out
        requests.append(len(account.sim.requests))
        page = f"/view/{shop}/production/builds/{uuid}\x1b\\{uuid}\x1b]8;;"
        assert (page in out) is (forced == "1")
    assert requests[0] == requests[1]
