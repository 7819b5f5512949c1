"""Tests which builds pass the filters of `status` and `list`."""

import pytest

from builds_async import Build, BuildTriggerMetadata
from builds_async.cli.filters import NO_FILTERS, BuildFilters


@pytest.mark.parametrize(
    ("branch", "pattern", "passes"),
    [
        ("main", "main", True),
        ("main", "Main", False),
        ("main2", "main", False),
        ("release/2.1", "release/*", True),
        ("release/2.1", "release/?.1", True),
        ("dev", "release/*", False),
        (None, "main", False),
        (None, "*", True),
    ],
    ids=str,
)
def test_branch(branch: str | None, pattern: str, passes: bool) -> None:
    """A branch is matched whole and with its case, or by a pattern."""
    build = Build(build_uuid="b", build_trigger_metadata=BuildTriggerMetadata(branch=branch))
    assert BuildFilters(branch=pattern).match(build) is passes


@pytest.mark.parametrize("filters", [BuildFilters(failed=True), BuildFilters(branch="*")], ids=str)
def test_without_a_build(filters: BuildFilters) -> None:
    """A Worker that was never built passes no filter, and all Workers pass without one."""
    assert not filters.match(None)
    assert NO_FILTERS.match(None)


def test_words() -> None:
    """Filters are named as on the command line; none are false."""
    filters = BuildFilters(failed=True, running=True, branch="main")
    assert (filters.words, bool(filters)) == ("--failed --running --branch main", True)
    assert (NO_FILTERS.words, bool(NO_FILTERS)) == ("", False)
