"""The objects that a test adds to an account."""

import re
from typing import Any, get_type_hints

import pytest

from builds_async.simulator import (
    Behavior,
    Behaviour,
    BuildDetails,
    BuildOptions,
    BuildsSimulator,
    QueueDetails,
    QueueOptions,
    Request,
    VirtualClock,
)


def test_a_seed_makes_the_same_ids_again(clock: VirtualClock) -> None:
    """With a seed, the same calls give the same ids and tokens; without one they differ."""

    def made(seed: int | None, requests: int = 0) -> list[str]:
        sim = BuildsSimulator(clock=clock, seed=seed)
        for _ in range(requests):
            sim.answer(Request(target="/"))
        build = sim.add_build()
        tag, version = build.external_script_id, build.version_id
        return [sim.account_id, sim.api_token, build.build_uuid, tag, version]

    assert made(7) == made(7, requests=3)
    assert not set(made(7)) & set(made(8))
    assert not set(made(None)) & set(made(None))


def test_the_old_spelling_of_behavior() -> None:
    """`behaviour=Behaviour(...)` sets the same switches, and `behavior` overrides it."""
    old, new = Behaviour(queued_logs="not_found"), Behavior(null_logs_result=True)
    assert BuildsSimulator(behaviour=old).behavior == Behavior(queued_logs="not_found")
    assert BuildsSimulator(behaviour=old, behavior=new).behavior == new


def test_workers_have_names_and_tags(sim: BuildsSimulator) -> None:
    """A Worker has a unique name and a tag of 32 hex characters, and an unknown tag is rejected."""
    shop, given = sim.add_worker("shop"), sim.add_worker("blog", tag="0" * 32)
    assert re.fullmatch("[0-9a-f]{32}", shop)
    assert (sim.add_worker("shop"), given) == (shop, "0" * 32)
    sim.add_worker("worker-4")
    assert len({sim.add_worker(), sim.add_worker()}) == 2
    assert dict(sim.workers)["blog"] == given
    with pytest.raises(ValueError, match="another Worker"):
        sim.add_worker("third", tag=given)
    with pytest.raises(ValueError, match="no Worker with the tag 'shop'"):
        sim.add_build(external_script_id="shop")
    with pytest.raises(ValueError, match="page_size"):
        BuildsSimulator(page_size=0)


@pytest.mark.parametrize(
    ("options", "details"),
    [(BuildOptions, BuildDetails), (QueueOptions, QueueDetails)],
    ids=["build", "queue"],
)
def test_options_are_the_fields_of_the_details(options: Any, details: Any) -> None:
    """The options of `add_build` and `add_queue` are the fields of `BuildDetails` and `QueueDetails`."""
    assert get_type_hints(options) == get_type_hints(details)
