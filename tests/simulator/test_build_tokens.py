"""Dead build tokens: the API still lists them, and builds with them fail."""

import pytest

from builds_async import BuildOutcome
from builds_async.simulator import BuildsSimulator, VirtualClock


async def test_a_build_with_a_rolled_token_fails() -> None:
    """A build with a rolled token fails within seconds after three lines, and nothing else shows why."""
    sim = BuildsSimulator(clock=VirtualClock())
    tag = sim.add_worker("shop")
    [uuid] = sim.build_tokens
    async with sim.client() as client:
        before = (await client.tokens.list()).result
        sim.roll_build_token(uuid)
        assert (await client.tokens.list()).result == before
        build = await client.wait((await client.builds.start(tag)).build_uuid)
        lines = [line async for line in client.follow(build.build_uuid)]
    assert build.build_outcome == BuildOutcome.FAIL
    assert (build.duration or 0.0) < 5.0
    assert len(lines) == 3
    assert "deleted or rolled" in (build.failure_reason(lines) or "")


async def test_a_build_with_a_deleted_token_fails() -> None:
    """A build with a deleted token fails too, and with another token the next build succeeds."""
    sim = BuildsSimulator(clock=VirtualClock())
    tag = sim.add_worker("shop")
    [uuid] = sim.build_tokens
    async with sim.client() as client:
        other = await client.tokens.create(
            build_token_name="n", build_token_secret="hush", cloudflare_token_id="i"
        )
        await client.tokens.delete(uuid)
        assert not (await client.wait((await client.builds.start(tag)).build_uuid)).succeeded
        [trigger] = await client.triggers.list(tag)
        await client.triggers.update(trigger.trigger_uuid or "", build_token_uuid=other.build_token_uuid)
        assert (await client.wait((await client.builds.start(tag)).build_uuid)).succeeded


def test_add_dead_build() -> None:
    """`add_dead_build` adds a finished build of the right age and kills its trigger's token."""
    sim = BuildsSimulator(clock=VirtualClock())
    build = sim.add_dead_build(external_script_id=sim.add_worker("shop"), age=50.0)
    assert (build.outcome, len(build.lines)) == (BuildOutcome.FAIL, 3)
    assert build.entered("stopped") == pytest.approx(sim.clock.now() - 50.0)  # type: ignore[arg-type]
    assert build.settings.token.is_dead


def test_unknown_build_token() -> None:
    """An unknown build token can't be rolled."""
    with pytest.raises(ValueError, match="no build token"):
        BuildsSimulator().roll_build_token("x")
