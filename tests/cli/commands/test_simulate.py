"""Tests `builds-async simulate`."""

import json
import re
import signal

import pytest

from tests.cli.support import ended, read_lines, started

pytestmark = pytest.mark.slow


def test_simulate() -> None:
    """`simulate` prints variables for a shell and its builds, and serves them with faults until Ctrl-C."""
    words = (
        "simulate",
        "--seed",
        "1",
        "--workers",
        "2",
        "--builds",
        "2",
        "--lines",
        "3",
        "--faults",
        "reset:2",
    )
    with started({}, *words) as server:
        printed = read_lines(server, 11)
        variables = dict(re.findall(r"^export (\w+)=(\S+)$", "\n".join(printed), re.MULTILINE))
        assert list(variables) == ["CLOUDFLARE_BASE_URL", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN"]
        assert [line.split()[2] for line in printed if line.startswith("# Worker")] == ["shop", "blog"]
        done, going = re.findall(r"^#   (\w+): +([-0-9a-f]{36})$", "\n".join(printed), re.MULTILINE)[:2]
        assert (done[0], going[0]) == ("fail", "running")
        with started(variables, "logs", done[1]) as logs:
            assert ended(logs).out.startswith("line 1 of 3\nline 2 of 3\n")
        server.send_signal(signal.SIGINT)
        assert ended(server) == (130, "", "")


def test_builds_at_an_interval() -> None:
    """With `--every`, new builds of the Workers are added in turn while the server runs."""
    words = ("--workers", "2", "--builds", "0", "--lines", "1", "--rate", "100", "--every", "1")
    with started({}, "simulate", *words) as server:
        variables = dict(re.findall(r"^export (\w+)=(\S+)$", "\n".join(read_lines(server, 7)), re.MULTILINE))
        with started(variables, "tail", "-o", "json") as tail:
            seen = set[str]()
            while seen != {"shop", "blog"}:
                seen |= {json.loads(line)["worker"] for line in read_lines(tail, 1)}


def test_the_kind_of_the_token() -> None:
    """The printed token has exactly the permissions of its kind."""
    with started({}, "simulate", "--token-kind", "account_owned") as server:
        variables = dict(re.findall(r"^export (\w+)=(\S+)$", "\n".join(read_lines(server, 4)), re.MULTILINE))
        with started(variables, "list", "shop") as command:
            run = ended(command)
    assert run.code == 3
    assert "account-owned" in run.err
