"""When a build counts as finished."""

import pytest

from builds_async.live.finish import OUTCOME_WAIT, EndDetector
from builds_async.models.builds import Build, BuildOutcome, BuildStatus
from tests.support import BUILD_UUID, FakeClock


def build(status: str | None, outcome: str | None = None) -> Build:
    return Build(
        build_uuid=BUILD_UUID,
        status=BuildStatus(status) if status else None,
        build_outcome=BuildOutcome(outcome) if outcome else None,
    )


RUNNING, STOPPED = build("running"), build("stopped")


@pytest.mark.parametrize(
    ("seen", "final"),
    [
        pytest.param(RUNNING, False, id="running"),
        pytest.param(STOPPED, False, id="stopped without an outcome"),
        pytest.param(build("stopped", "success"), True, id="stopped with an outcome"),
        pytest.param(build("paused"), False, id="an unknown status"),
        pytest.param(build("stopped", "vanished"), True, id="an unknown outcome"),
        pytest.param(build(None, "fail"), False, id="only an outcome"),
    ],
)
def test_stopped_with_an_outcome(clock: FakeClock, seen: Build, final: bool) -> None:
    """A build has finished when it is stopped and has an outcome, known or unknown."""
    end_detector = EndDetector(clock)
    assert end_detector.is_final(seen) is final
    assert end_detector.has_stopped is seen.is_stopped


def test_outcome_is_waited_for_from_the_stop(clock: FakeClock) -> None:
    """The time limit for an outcome counts from when the build was first seen stopped."""
    end_detector = EndDetector(clock)
    clock.advance(1000)
    assert not end_detector.is_final(RUNNING)
    assert not end_detector.is_final(STOPPED)
    clock.advance(OUTCOME_WAIT - 0.1)
    assert not end_detector.is_final(STOPPED)
    clock.advance(0.1)
    assert end_detector.is_final(STOPPED)
