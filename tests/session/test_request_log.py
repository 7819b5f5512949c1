"""The log record of a request, and the recipes that turn requests into spans and metrics."""

import asyncio
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from builds_async import BuildsClient, Counters, Observation, RequestDone, RetryPolicy
from builds_async.simulator import BuildsSimulator, Fault, VirtualClock
from tests.support.snippets import run, snippets

PAGE = Path(__file__).parent.parent.parent / "docs" / "logging.md"


def records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [it for it in caplog.records if it.levelno == logging.DEBUG and it.name == "builds_async"]


async def test_one_record_for_each_request(caplog: pytest.LogCaptureFixture) -> None:
    """Each request, retries included, has one record with method, path, outcome, seconds and ray id."""
    caplog.set_level(logging.DEBUG, "builds_async")
    sim = BuildsSimulator(clock=VirtualClock(), faults=[Fault("slow", delay=2.0), "reset"])
    build = sim.add_finished_build(1)
    async with sim.client() as client:
        await client.builds.get(build.build_uuid)
        await client.builds.get(build.build_uuid)
    path = f"/accounts/{sim.account_id}/builds/builds/{build.build_uuid}"
    texts = [record.getMessage() for record in records(caplog)]
    assert len(texts) == 3
    assert re.fullmatch(rf"GET {path}: 200 in 2\.000 s, ray [0-9a-f]{{16}}-[A-Z]{{3}}", texts[0])
    assert texts[1] == f"GET {path}: BuildsConnectionError in 0.000 s, ray unknown"
    assert re.fullmatch(rf"GET {path}: 200 in 0\.000 s, ray [0-9a-f]{{16}}-[A-Z]{{3}}", texts[2])
    method, shown, status, seconds, ray = records(caplog)[0].args  # type: ignore[misc]
    assert (method, shown, status, seconds) == ("GET", path, 200, 2.0)
    assert str(ray) in texts[0]
    assert sim.api_token not in caplog.text


async def test_canceled_request(caplog: pytest.LogCaptureFixture) -> None:
    """A request that its caller cancels has a record, because it was sent."""
    caplog.set_level(logging.DEBUG, "builds_async")
    sim = BuildsSimulator(clock=VirtualClock(), faults=["stall"])
    async with sim.client() as client:
        call = asyncio.create_task(client.account.limits())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    [record] = records(caplog)
    assert ": canceled in " in record.getMessage()


async def test_deploy_hook_is_redacted(caplog: pytest.LogCaptureFixture) -> None:
    """The UUID of a deploy hook, which is a secret, is in no record."""
    caplog.set_level(logging.DEBUG, "builds_async")
    sim = BuildsSimulator(clock=VirtualClock())
    sim.add_worker("shop")
    async with sim.client() as client:
        hook = await client.deploy_hooks.create("shop", deploy_hook_name="h", branch="main")
        await client.deploy_hooks.trigger(hook.deploy_hook_uuid)
    assert len(records(caplog)) == 2
    assert hook.deploy_hook_uuid not in caplog.text


async def test_no_record_is_built_when_off(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the level off and no observer, no record is built."""
    caplog.set_level(logging.INFO, "builds_async")
    monkeypatch.delattr("builds_async.session.session.ApiSession._report_done")
    sim = BuildsSimulator(clock=VirtualClock())
    async with sim.client() as client:
        await client.account.limits()
    assert records(caplog) == []


async def test_observer_gets_the_ray() -> None:
    """An observation has the ray id of its response, or None without a response."""
    sim, seen = BuildsSimulator(clock=VirtualClock(), faults=["reset"]), list[Observation]()
    async with sim.client(observer=seen.append) as client:
        await client.account.limits()
    lost, done = (it for it in seen if isinstance(it, RequestDone))
    assert lost.ray_id is None
    assert done.ray_id


async def names_of_page(
    heading: str, sim: BuildsSimulator, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The names that the recipe below a heading of the page defines, after it has run."""
    line = PAGE.read_text("utf-8").partition(heading)[0].count("\n")
    recipe = next(snippet for snippet in snippets(PAGE, "python") if snippet.line > line)
    build = sim.add_finished_build(1)

    def client(**options: Any) -> BuildsClient:
        return sim.client(retry=RetryPolicy(attempts=2), **options)

    monkeypatch.setattr("builds_async.BuildsClient", client)
    names: dict[str, Any] = {"build_uuid": build.build_uuid}
    await run(recipe, names)
    return names


async def test_prometheus_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe renders the text format: a type and a value for each counter."""
    sim = BuildsSimulator(clock=VirtualClock(), faults=["reset"])
    names = await names_of_page("## Prometheus", sim, monkeypatch)
    counters = Counters()
    async with sim.client(observer=counters) as client:
        await client.account.limits()
    lines = names["metrics"](counters).splitlines()
    public = [name for name in vars(counters) if not name.startswith("_")]
    assert lines[::2] == [f"# TYPE builds_async_{name}_total counter" for name in public]
    assert lines[1::2] == [f"builds_async_{name}_total {getattr(counters, name)}" for name in public]
    assert "builds_async_requests_total 2" in lines
    assert "builds_async_retries_total 1" in lines


async def test_opentelemetry_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe makes a span per request, under the caller's, with outcome, duration and ray id."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    sim = BuildsSimulator(clock=VirtualClock(), faults=["reset", Fault("slow", delay=2.0)])
    await names_of_page("## OpenTelemetry", sim, monkeypatch)
    failed, done, caller = exporter.get_finished_spans()
    assert caller.name == "deploy"
    for span in (failed, done):
        assert span.name == "GET"
        assert span.kind is trace.SpanKind.CLIENT
        assert span.parent is not None
        assert span.parent.span_id == caller.context.span_id
    assert failed.attributes is not None
    assert done.attributes is not None
    assert failed.attributes["error.type"] == "BuildsConnectionError"
    assert failed.status.status_code is trace.StatusCode.ERROR
    assert done.attributes["http.response.status_code"] == 200
    assert done.attributes["cloudflare.ray_id"]
    assert done.status.status_code is trace.StatusCode.UNSET
    assert done.end_time is not None
    assert done.start_time is not None
    assert abs(done.end_time - done.start_time - 2_000_000_000) < 1000
    assert sim.api_token not in str(done.attributes)
