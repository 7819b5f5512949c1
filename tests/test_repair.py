"""`client.token_repair()`: what it finds broken, what it plans, and what it does."""

from typing import Any

import msgspec
import pytest

from builds_async import (
    BuildOutcome,
    BuildsClient,
    InternalServerError,
    NewBuildToken,
    PermissionDeniedError,
    RepairAction,
    RetryPolicy,
    TokenRepairPlan,
)
from builds_async.simulator import BuildsSimulator, Fault, TokenKind, VirtualClock

SECRET = "cfut_" + "s" * 35
REGISTER, POINT, START = RepairAction.REGISTER, RepairAction.POINT, RepairAction.START


def account() -> BuildsSimulator:
    return BuildsSimulator(clock=VirtualClock(), seed=4)


def client_of(sim: BuildsSimulator, **options: Any) -> BuildsClient:
    return sim.client(retry=RetryPolicy(attempts=1), **options)


def add_dead(sim: BuildsSimulator, name: str, **options: Any) -> str:
    """Add a Worker whose last build failed because of its dead build token; returns its tag."""
    tag = sim.add_worker(name)
    sim.add_dead_build(external_script_id=tag, commit_hash="c0ffee00" * 5, **options)
    return tag


def add_healthy(sim: BuildsSimulator, name: str, *, age: float = 3600.0) -> str:
    """Add a Worker with a successful build; returns the UUID of its build token."""
    known = set(sim.build_tokens)
    sim.add_finished_build(external_script_id=sim.add_worker(name), age=age)
    [uuid] = set(sim.build_tokens) - known
    return uuid


def writes(sim: BuildsSimulator) -> list[tuple[str, str]]:
    return [(it.method, it.path) for it in sim.requests if it.method != "GET"]


def actions(plan: TokenRepairPlan) -> list[RepairAction]:
    return [call.action for call in plan.calls]


async def trigger_tokens(client: BuildsClient, tag: str) -> list[str | None]:
    return [trigger.build_token_uuid for trigger in await client.triggers.list(tag)]


async def test_a_dead_token_is_planned_and_repaired() -> None:
    """A plan only reads; applying it makes exactly its calls, and the build succeeds."""
    sim = account()
    healthy = add_healthy(sim, "blog")
    tag = add_dead(sim, "shop")
    async with client_of(sim) as client:
        [dead] = await trigger_tokens(client, tag)
        repair = client.token_repair([tag], build_token_uuid=healthy)
        plan = await repair.plan()
        assert writes(sim) == []
        [broken] = plan.broken
        assert (broken.external_script_id, broken.build_token_uuid, broken.is_registered) == (tag, dead, True)
        assert actions(plan) == [POINT, START]
        assert plan.calls[0].body == {"build_token_uuid": healthy}
        assert plan.calls[1].body == {"branch": "main", "commit_hash": "c0ffee00" * 5}

        report = await repair.apply(plan)
        assert (report.done, report.left, report.error) == (plan.calls, (), None)
        assert writes(sim) == [(call.method, f"/client/v4{call.path}") for call in plan.calls]
        assert await trigger_tokens(client, tag) == [healthy]
        build = (await client.builds.list(tag)).result[0]
        assert (await client.wait(build.build_uuid)).succeeded
        assert not (await repair.plan()).is_needed


async def test_the_whole_account() -> None:
    """Without arguments, all Workers are checked, and the latest success provides the replacement."""
    sim = account()
    add_healthy(sim, "old", age=7200.0)
    newest = add_healthy(sim, "new", age=60.0)
    add_healthy(sim, "middle", age=3600.0)
    tags = {add_dead(sim, "shop"), add_dead(sim, "api")}
    sim.add_worker("unbuilt")
    async with client_of(sim) as client:
        plan = await client.token_repair().plan()
    assert {it.external_script_id for it in plan.broken} == tags
    assert plan.replacement is not None
    assert (plan.replacement.build_token_uuid, plan.is_proven) == (newest, True)
    assert actions(plan) == [POINT, POINT, START, START]


async def test_another_worker_with_the_same_token() -> None:
    """A trigger with a token that died elsewhere is broken too, even if its own last build succeeded."""
    sim = account()
    healthy = add_healthy(sim, "blog")
    tag, other = sim.add_worker("shop"), sim.add_worker("api")
    async with client_of(sim) as client:
        [uuid] = await trigger_tokens(client, tag)
        [trigger] = await client.triggers.list(other)
        await client.triggers.update(trigger.trigger_uuid or "", build_token_uuid=uuid or "")
        sim.add_finished_build(external_script_id=other, age=7200.0)
        sim.add_dead_build(external_script_id=tag)
        plan = await client.token_repair().plan()
    assert {it.external_script_id for it in plan.broken} == {tag, other}
    assert actions(plan) == [POINT, POINT, START]
    assert plan.replacement is not None
    assert plan.replacement.build_token_uuid == healthy


async def test_a_deleted_build_token() -> None:
    """A trigger whose build token is no longer listed is broken, even without a failed build."""
    sim = account()
    add_healthy(sim, "blog")
    tag = sim.add_worker("shop")
    async with client_of(sim) as client:
        [uuid] = await trigger_tokens(client, tag)
        await client.tokens.delete(uuid or "")
        plan = await client.token_repair([tag]).plan()
    assert [it.is_registered for it in plan.broken] == [False]
    assert actions(plan) == [POINT]


@pytest.mark.parametrize(
    "lines",
    [["Error: no such module", "Failed: error occurred while running build command"], []],
    ids=["its own error", "no log"],
)
async def test_other_failures_are_not_the_token(lines: list[str]) -> None:
    """A build that failed for another reason, however fast, needs no repair."""
    sim = account()
    tag = sim.add_worker("shop")
    sim.add_finished_build(lines, BuildOutcome.FAIL, duration=3.0, external_script_id=tag)
    async with client_of(sim) as client:
        assert await client.token_repair([tag]).plan() == TokenRepairPlan()
        assert await client.token_repair().plan() == TokenRepairPlan()


async def test_a_later_success_clears_a_token() -> None:
    """A failure that names the token no longer counts once a later build has deployed with it."""
    sim = account()
    tag = sim.add_worker("shop")
    sim.add_dead_build(external_script_id=tag, age=7200.0)
    sim.add_finished_build(external_script_id=tag, age=60.0)
    async with client_of(sim) as client:
        assert not (await client.token_repair([tag]).plan()).is_needed


async def test_a_long_build_is_not_read() -> None:
    """A failure after many minutes causes no request for its log."""
    sim = account()
    tag = sim.add_worker("shop")
    sim.add_finished_build(["x"], BuildOutcome.FAIL, duration=600.0, external_script_id=tag)
    async with client_of(sim) as client:
        await client.token_repair([tag]).plan()
    assert not any(it.path.endswith("/logs") for it in sim.requests)


async def test_a_build_that_can_not_be_started_again() -> None:
    """A build with neither a branch nor a full commit hash is not planned to start: the API needs one."""
    sim = account()
    healthy = add_healthy(sim, "blog")
    tag = sim.add_worker("shop")
    sim.add_dead_build(external_script_id=tag, branch="", commit_hash="c0ffee0")
    async with client_of(sim) as client:
        repair = client.token_repair([tag], build_token_uuid=healthy)
        plan = await repair.plan()
        assert actions(plan) == [POINT]
        assert (await repair.apply(plan)).error is None


async def test_no_other_token() -> None:
    """Without another build token, the plan has no calls and says what to do."""
    sim = account()
    tag = add_dead(sim, "shop")
    async with client_of(sim) as client:
        repair = client.token_repair([tag])
        plan = await repair.plan()
        assert (len(plan.broken), plan.calls, plan.is_needed) == (1, (), True)
        assert "create an API token" in plan.problem
        with pytest.raises(RuntimeError, match="create an API token"):
            await repair.apply(plan)


async def test_several_unproven_tokens() -> None:
    """Without a proven token, the plan makes no choice and names the candidates."""
    sim = account()
    tag = add_dead(sim, "shop")
    sim.add_worker("one")
    sim.add_worker("two")
    async with client_of(sim) as client:
        [dead] = await trigger_tokens(client, tag)
        plan = await client.token_repair([tag]).plan()
        others = set(sim.build_tokens) - {dead}
        assert all(uuid in plan.problem for uuid in others)
        for uuid in others:
            chosen = await client.token_repair([tag], build_token_uuid=uuid.upper()).plan()
            assert chosen.replacement is not None
            assert (chosen.replacement.build_token_uuid, chosen.is_proven) == (uuid, False)
        for useless in (dead, "8d3b7a4e-3c57-4e0a-9a39-0a3f6c0f3b11"):
            assert (
                "is not a build token that works"
                in (await client.token_repair([tag], build_token_uuid=useless).plan()).problem
            )


async def test_a_new_token_is_registered() -> None:
    """A new API token is registered first, and its secret is in neither plan nor report."""
    sim = account()
    tag = add_dead(sim, "shop")
    new = NewBuildToken(build_token_secret=SECRET, cloudflare_token_id="ab" * 16, build_token_name="fresh")
    assert SECRET not in repr(new)
    async with client_of(sim) as client:
        repair = client.token_repair([tag], new_token=new)
        plan = await repair.plan()
        assert (actions(plan), plan.replacement) == ([REGISTER, POINT, START], None)
        report = await repair.apply(plan)
        assert report.error is None
        for shown in (repr(plan), repr(report), msgspec.json.encode(plan).decode()):
            assert SECRET not in shown
        [uuid] = await trigger_tokens(client, tag)
        assert sim.build_tokens[uuid or ""] == "fresh"


NAMES = ["register", "point 1", "point 2", "start 1", "start 2"]


@pytest.mark.parametrize("broken", range(5), ids=NAMES)
async def test_a_failure_in_the_middle(broken: int) -> None:
    """After any failed call, the report lists the completed ones, and a second run does only the rest."""
    sim = account()
    tags = [add_dead(sim, "shop"), add_dead(sim, "api")]
    new = NewBuildToken(build_token_secret=SECRET, cloudflare_token_id="ab" * 16, build_token_name="fresh")
    async with client_of(sim) as client:
        repair = client.token_repair(tags, new_token=new)
        plan = await repair.plan()
        assert actions(plan) == [REGISTER, POINT, POINT, START, START]
        call = plan.calls[broken]
        # Refused before any effect, so that the outcome is certain.
        sim.fault(Fault("blocked", method=call.method, path=call.path))
        report = await repair.apply(plan)
        assert isinstance(report.error, PermissionDeniedError)
        assert (report.done, report.left) == (plan.calls[:broken], plan.calls[broken:])

        rest = await repair.plan()
        assert actions(rest) == actions(plan)[broken:]
        assert (await repair.apply(rest)).error is None
        assert not (await repair.plan()).is_needed
        assert list(sim.build_tokens.values()).count("fresh") == 1
        for tag in tags:
            assert len((await client.builds.list(tag)).result) == 2


async def test_a_rolled_token_has_the_same_id() -> None:
    """A rolled API token keeps its id, and its dead build token is not mistaken for the new one."""
    sim = account()
    tag = add_dead(sim, "shop")
    async with client_of(sim) as client:
        [dead] = (await client.tokens.list()).result
        new = NewBuildToken(
            build_token_secret=SECRET,
            cloudflare_token_id=dead.cloudflare_token_id or "",
        )
        plan = await client.token_repair([tag], new_token=new).plan()
    assert actions(plan) == [REGISTER, POINT, START]


async def test_planning_raises_failures() -> None:
    """Planning raises the first failed request, because a partial view would make a wrong plan."""
    sim = account()
    tag = add_dead(sim, "shop")
    async with client_of(sim) as client:
        sim.fault(Fault("server_error", path="/triggers"))
        with pytest.raises(InternalServerError):
            await client.token_repair([tag]).plan()


async def test_a_read_only_token() -> None:
    """A read-only token can plan, and applying reports the refusal of the first call."""
    sim = account()
    add_healthy(sim, "blog")
    tag = add_dead(sim, "shop")
    async with client_of(sim, api_token=sim.add_token(TokenKind.READ_ONLY)) as client:
        repair = client.token_repair([tag])
        report = await repair.apply(await repair.plan())
    assert report.done == ()
    assert isinstance(report.error, PermissionDeniedError)


async def test_misuse() -> None:
    """Invalid arguments are a ValueError, and a plan with a new token needs the repair that has it."""
    sim = account()
    tag = add_dead(sim, "shop")
    new = NewBuildToken(build_token_secret=SECRET, cloudflare_token_id="id")
    async with client_of(sim) as client:
        with pytest.raises(ValueError, match="not both"):
            client.token_repair(build_token_uuid="x", new_token=new)
        with pytest.raises(ValueError, match="tag"):
            client.token_repair(["shop"])
        with pytest.raises(ValueError, match="empty"):
            client.token_repair(build_token_uuid="")
        plan = await client.token_repair([tag], new_token=new).plan()
        with pytest.raises(RuntimeError, match="new token"):
            await client.token_repair([tag]).apply(plan)


async def test_a_token_in_place_of_a_build_token() -> None:
    """An API token that is passed in place of the UUID of a build token is never shown."""
    sim = account()
    tag = add_dead(sim, "shop")
    old = "Ab1" + "x" * 37
    async with client_of(sim) as client:
        with pytest.raises(ValueError, match="looks like a credential") as caught:
            client.token_repair([tag], build_token_uuid=SECRET)
        assert SECRET not in str(caught.value)
        plan = await client.token_repair([tag], build_token_uuid=old).plan()
        assert "is not a build token that works" in plan.problem
        assert old not in plan.problem
