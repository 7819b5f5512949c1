"""`client.preview_url`: the API's, the log's, or the derived URL, and never a placeholder."""

from collections.abc import Callable
from typing import Any

import pytest

from builds_async import BuildOutcome, PermissionDeniedError
from builds_async.simulator import Behavior, BuildsSimulator, SimulatedBuild, TokenKind, VirtualClock
from tests.support.case import cases

UPLOAD = "npx wrangler versions upload"


def simulated(name: str = "shop", **behavior: Any) -> BuildsSimulator:
    """A simulator with one Worker, whose builds have no `preview_url`."""
    sim = BuildsSimulator(
        clock=VirtualClock(), behavior=Behavior(**{"preview_urls": False, **behavior}), rate_limit=None
    )
    sim.add_worker(name)
    return sim


def built(sim: BuildsSimulator, lines: Any = 3, **options: Any) -> SimulatedBuild:
    [tag] = sim.workers.values()
    return sim.add_finished_build(lines, external_script_id=tag, **options)


async def found(sim: BuildsSimulator, build: SimulatedBuild, **options: Any) -> str | None:
    """The URL that the client returns."""
    async with sim.client(**options) as client:
        return await client.preview_url(await client.builds.get(build.build_uuid))


async def test_url_from_the_api() -> None:
    """The API's URL is used, even for a listed build, which lacks it."""
    sim = simulated(preview_urls=True)
    build = built(sim, preview_url="https://anything.example")
    assert await found(sim, build) == "https://anything.example"
    assert len(sim.requests) == 1
    async with sim.client() as client:
        [listed] = (await client.builds.list(build.external_script_id)).result
        assert listed.preview_url is None
        assert await client.preview_url(listed) == "https://anything.example"


@pytest.mark.parametrize("command", [UPLOAD, "npx wrangler deploy"])
async def test_derived(command: str) -> None:
    """The derived URL has the version's first 8 digits, the Worker's name and the account's subdomain."""
    sim = simulated()
    built(sim, age=7200.0)
    build = built(sim, deploy_command=command)
    built(sim, age=60.0)
    assert await found(sim, build) == f"https://{build.version_id[:8]}-shop.simulated.workers.dev"
    assert len(sim.requests) <= 7


def no_previews(sim: BuildsSimulator) -> None:
    [tag] = sim.workers.values()
    sim.set_workers_dev(tag, previews_enabled=False)


def no_subdomain(sim: BuildsSimulator) -> None:
    sim.set_subdomain(None)


def odd_subdomain(sim: BuildsSimulator) -> None:
    sim.set_subdomain("evil.dev/?")


def nothing(_sim: BuildsSimulator) -> None:
    pass


@cases(
    ("change", "options"),
    [
        pytest.param(no_previews, {}, id="previews are disabled"),
        pytest.param(no_subdomain, {}, id="no subdomain"),
        pytest.param(odd_subdomain, {}, id="a subdomain that is none"),
        pytest.param(nothing, {"makes": "nothing"}, id="uploaded nothing"),
        pytest.param(nothing, {"outcome": BuildOutcome.FAIL}, id="failed"),
    ],
)
async def test_never_a_placeholder(change: Callable[[BuildsSimulator], None], options: Any) -> None:
    """The URL is None if the derived one would show something else."""
    sim = simulated()
    change(sim)
    assert await found(sim, built(sim, **options)) is None


async def test_a_version_without_a_preview() -> None:
    """A version that reports no preview has no URL."""
    sim = simulated()
    build = built(sim, makes="nothing")
    [tag] = sim.workers.values()
    for has_preview in (True, False):
        version = sim.add_version(tag, has_preview=has_preview, age=3600.0)
        sim._account._by_version[version] = build
        wanted = f"https://{version[:8]}-shop.simulated.workers.dev" if has_preview else None
        assert await found(sim, build) == wanted


@pytest.mark.parametrize("name", ["s" * 60, "shop_1"])
async def test_name_that_is_no_hostname(name: str) -> None:
    """A Worker with a name that is too long or has other characters has no URL."""
    sim = simulated(name)
    assert await found(sim, built(sim)) is None


async def test_url_from_the_log() -> None:
    """A follower's build has the URL from the log, and then no request is sent."""
    sim = simulated()
    build = built(sim, makes="version", version_id="0f5c2e6a-1b3d-4c7e-9a8b-2d4f6a8c0e1f")
    url = "https://0f5c2e6a-other.octo.workers.dev"
    build.emit("Worker Version ID: 0f5c2e6a-1b3d-4c7e-9a8b-2d4f6a8c0e1f", f"Version Preview URL: {url}")
    async with sim.client() as client:
        log = client.follow(build.build_uuid)
        await log.read()
        assert (log.build.preview_url, log.preview_url) == (url, url)
        sim.requests.clear()
        assert await client.preview_url(log.build) == url
    assert not sim.requests


async def test_needs_workers_scripts_read() -> None:
    """A token without Workers Scripts Read gets an error, not a guess."""
    sim = simulated()
    with pytest.raises(PermissionDeniedError):
        await found(sim, built(sim), api_token=sim.add_token(TokenKind.NO_SCRIPTS))
