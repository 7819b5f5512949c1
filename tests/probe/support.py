"""An account that gives a probe evidence for each of its questions."""

from typing import Any

from builds_async import BuildOutcome, BuildStatus, ProbeReport
from builds_async.simulator import Behavior, BuildsSimulator, VirtualClock

DAY = 86400.0
LINES = [f"\x1b[32mcanary-line-{number}\x1b[0m" for number in range(25)]
PAGE_SIZE = 10


async def rich_account(behavior: Behavior, **options: Any) -> BuildsSimulator:
    """Builds of every age, kind and source, nearly all of a single Worker."""
    clock = VirtualClock()
    sim = BuildsSimulator(clock=clock, behavior=behavior, page_size=PAGE_SIZE, **options)
    tag = sim.add_worker("canary-worker")
    sim.add_worker("canary-undeployed", deployed=False)
    sim.add_finished_build(3, age=100 * DAY, external_script_id=tag)
    async with sim.client() as client:
        second = sim.add_trigger(tag, environment_variables={"CANARY": "canary-value"})
        sim.add_finished_build(3, age=2 * DAY, external_script_id=tag, trigger_uuid=second)
        await client.triggers.delete(second)
        preview = sim.add_preview(tag, "canary-branch")
        sim.add_finished_build(3, age=DAY, external_script_id=preview)
        await client.builds.start(tag, branch="main")
        await clock.sleep(60.0)
        await client.deploy_hooks.trigger(sim.add_deploy_hook(tag))
        await clock.sleep(60.0)
    sim.add_finished_build(
        LINES,
        BuildOutcome.FAIL,
        age=1200.0,
        duration=600.0,
        external_script_id=tag,
        environment_variables={"CANARY": "canary-value"},
        author="canary-author",
        commit_message="canary-message",
    )
    script = [(float(number), f"canary {number}") for number in range(1000)]
    sim.add_build([(0.0, BuildStatus.RUNNING), *script], external_script_id=tag)
    await clock.sleep(2.0)
    sim.add_build(external_script_id=tag)
    return sim


async def probed(sim: BuildsSimulator, build_uuid: str | None = None, **options: Any) -> ProbeReport:
    """The report of a probe; its requests are the last in `sim.requests`."""
    sim.requests.clear()
    async with sim.client(**options) as client:
        return await client.probe(build_uuid).run()


def finished_log(sim: BuildsSimulator) -> str:
    """The UUID of the build with the long log."""
    return next(uuid for uuid, build in sim.builds.items() if len(build.lines) == len(LINES))


def answers(report: ProbeReport) -> dict[str, str]:
    """The answer to each question, or the reason why there is none."""
    return {it.question: it.answer or it.reason for it in report.findings}
