"""Random walks: one request makes one build, and a call returns its own request's build or raises."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builds_async import (
    Build,
    BuildsConnectionError,
)
from tests.resources.starting.support import Shop
from tests.support import FakeClock, drive

STARTED = st.tuples(
    st.sampled_from(["main", "next"]),
    st.sampled_from(["arrived", "lost", "never arrived"]),
    st.sampled_from([None, "push_event", "pull_request", "deploy_hook", "other branch"]),
)
STEPS = st.lists(STARTED | st.sampled_from(["main", "next"]) | st.floats(1, 100), max_size=8)


def start_next_to(shop: Shop, branch: str, how: str, other: str | None) -> Build | None:
    """The build that a start returns while another one is created; None for an error."""
    if how == "arrived":
        shop.wire.losses.append(None)
    else:
        shop.lose(arrived=how == "lost")
    if other == "other branch":
        shop.meanwhile(branch="elsewhere", trigger_uuid=shop.main)
    elif other is not None:
        shop.meanwhile(branch=branch, trigger_uuid=shop.main, source=other)
    try:
        return drive(shop.start(branch))
    except BuildsConnectionError:
        return None


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(steps=STEPS, known=st.booleans())
def test_own_build_or_an_error(steps: list[tuple[str, str, str | None] | str | float], known: bool) -> None:
    """A start returns its own request's build or raises, whatever is lost and whoever else builds."""
    shop = Shop()
    assert isinstance(shop.clock, FakeClock)
    if known:
        drive(shop.know())
    starts = 0
    for step in steps:
        if isinstance(step, tuple):
            starts += 1
            build = start_next_to(shop, *step)
            assert build is None or build.build_uuid == shop.wire.made[-1]
            _, how, other = step
            assert how == "never arrived" or build is not None or not (known or other is None)
        elif isinstance(step, str):  # someone else's
            shop.add(branch=step, trigger_uuid=shop.main, commit_hash="")
            shop.clock.advance(1.0)
        else:
            shop.clock.advance(step)
    assert shop.wire.posts == starts
