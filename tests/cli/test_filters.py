"""Tests the filters of `status` and `list`."""

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
    """A branch matches as a whole and case-sensitively, or by a pattern."""
    build = Build(build_uuid="b", build_trigger_metadata=BuildTriggerMetadata(branch=branch))
    assert BuildFilters(branch=pattern).match(build) is passes


@pytest.mark.parametrize("filters", [BuildFilters(failed=True), BuildFilters(branch="*")], ids=str)
def test_without_a_build(filters: BuildFilters) -> None:
    """A Worker without builds passes no filter, and every Worker passes without one."""
    assert not filters.match(None)
    assert NO_FILTERS.match(None)


def test_words() -> None:
    """Filters are named as on the command line, and an empty set is false."""
    filters = BuildFilters(failed=True, running=True, branch="main")
    assert (filters.words, bool(filters)) == ("--failed --running --branch main", True)
    assert (NO_FILTERS.words, bool(NO_FILTERS)) == ("", False)
