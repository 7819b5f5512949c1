"""The choice of the trigger that builds a branch."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from builds_async import NotFoundError, Trigger
from builds_async.resources.choosing import Choice, choose
from tests.support.case import cases

Filters = tuple[tuple[str, ...] | None, tuple[str, ...] | None]

MAIN: Filters = (("main",), ())
ALL: Filters = (("*",), ())
OTHERS: Filters = (("*",), ("main",))
RELEASES: Filters = (("release/*",), ())
SILENT: Filters = (None, None)


def triggers(*filters: Filters) -> list[Trigger]:
    return [
        Trigger(
            trigger_uuid=f"t{number}",
            trigger_name="N",
            branch_includes=includes,
            branch_excludes=excludes,
        )
        for number, (includes, excludes) in enumerate(filters)
    ]


def named(*filters: Filters) -> list[Trigger]:
    """Triggers with distinct names."""
    return [replace(it, trigger_name=f"N{n}") for n, it in enumerate(triggers(*filters))]


@cases(
    ("filters", "branch", "chosen"),
    [
        pytest.param([MAIN, OTHERS], "main", 0, id="the usual pair, main"),
        pytest.param([MAIN, OTHERS], "feature/x", 1, id="the usual pair, another branch"),
        pytest.param([OTHERS, MAIN], "main", 1, id="the order does not matter"),
        pytest.param([ALL, MAIN], "main", 1, id="a name goes before all"),
        pytest.param([ALL, RELEASES], "release/1", 1, id="a pattern goes before all"),
        pytest.param([RELEASES, (("release/1",), None)], "release/1", 1, id="a name goes before a pattern"),
        pytest.param([SILENT, MAIN], "main", 1, id="a trigger without filters builds nothing"),
        pytest.param([(("*",), ("wip/*",)), ALL], "wip/x", 1, id="an excluded pattern"),
        pytest.param([(("dev", "main"), ())], "main", 0, id="one of several names"),
        pytest.param([(("a.b",), ()), ALL], "axb", 1, id="a dot is no pattern"),
        pytest.param([MAIN, ALL], "Main", 1, id="upper case is another branch"),
    ],
)
def test_branch(filters: list[Filters], branch: str, chosen: int) -> None:
    """The chosen trigger is the one that a push to the branch would start."""
    assert choose(triggers(*filters), branch, None) == Choice(f"t{chosen}", branch)
    assert choose(triggers(*filters), branch, "a" * 40) == Choice(f"t{chosen}", branch)


@cases(
    ("filters", "branch"),
    [
        pytest.param([MAIN], "x", id="another name"),
        pytest.param([(("*",), ("x",))], "x", id="excluded"),
        pytest.param([(("x",), ("x",))], "x", id="named and excluded"),
        pytest.param([SILENT], "x", id="no filters"),
        pytest.param([RELEASES], "prerelease/1", id="the end of it matches a pattern"),
    ],
)
def test_no_trigger_builds_the_branch(filters: list[Filters], branch: str) -> None:
    """A branch that no push would build is an error that lists what the triggers build."""
    with pytest.raises(NotFoundError, match=f"no trigger of the Worker builds the branch '{branch}'.* t0 "):
        choose(triggers(*filters), branch, None)


@pytest.mark.parametrize("filters", [[MAIN, MAIN], [ALL, ALL]], ids=["names", "all"])
def test_two_triggers_for_a_branch(filters: list[Filters]) -> None:
    """Two triggers that match the branch equally well are ambiguous, so the choice is an error."""
    with pytest.raises(ValueError, match=r"several triggers build the branch 'main': .* t0 \(N.* and t1 \(N"):
        choose(triggers(*filters), "main", None)


@cases("filters", [[MAIN], [MAIN, OTHERS], [(("main", "x"), ("x",))]], ids=str)
def test_no_arguments(filters: list[Filters]) -> None:
    """Without a branch and a commit, the only branch that the triggers name is built."""
    assert choose(triggers(*filters), None, None) == Choice("t0", "main")


@cases("filters", [[ALL], [(("a", "b"), ())], [MAIN, (("dev",), ())]], ids=str)
def test_no_arguments_and_no_single_branch(filters: list[Filters]) -> None:
    """If the triggers name no branch or several, a branch or a commit is required."""
    with pytest.raises(ValueError, match="pass a branch or a commit"):
        choose(triggers(*filters), None, None)


@pytest.mark.parametrize("name", ["t1", "N1"], ids=["UUID", "name"])
@pytest.mark.parametrize(
    ("branch", "commit", "built"),
    [
        pytest.param("main", None, "main", id="a branch that it excludes"),
        pytest.param(None, "a" * 40, None, id="a commit"),
        pytest.param(None, None, "dev", id="the only branch that it names"),
    ],
)
def test_trigger(name: str, branch: str | None, commit: str | None, built: str | None) -> None:
    """A given trigger builds the given branch or commit."""
    made = named(MAIN, (("dev", "x/*"), ("main",)))
    assert choose(made, branch, commit, name) == Choice("t1", built)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        pytest.param("N7", NotFoundError, "no trigger 'N7': it has t0 .* and t1 ", id="none"),
        pytest.param(
            "N0", ValueError, "several triggers named 'N0': pass the UUID of one of t0 .* and t2 ", id="two"
        ),
    ],
)
def test_no_single_trigger(name: str, error: type[Exception], message: str) -> None:
    """A trigger name that matches none or several is an error that lists the triggers."""
    made = [*named(MAIN, OTHERS), replace(named(MAIN)[0], trigger_uuid="t2")]
    with pytest.raises(error, match=message):
        choose(made, "main", None, name)


def test_commit_alone() -> None:
    """A commit without a branch is built by the only trigger; with two triggers, the branch is required."""
    assert choose(triggers(RELEASES), None, "a" * 40) == Choice("t0", None)
    with pytest.raises(ValueError, match="pass the branch too"):
        choose(triggers(MAIN, OTHERS), None, "a" * 40)


def test_unusable_triggers() -> None:
    """Deleted triggers and triggers without an id do not count."""
    deleted = Trigger(trigger_uuid="t", branch_includes=("main",), deleted_on=datetime.now(UTC))
    nameless = Trigger(branch_includes=("main",))
    assert choose([deleted, *triggers(MAIN), nameless], "main", None).trigger_uuid == "t0"
    with pytest.raises(NotFoundError, match="has no trigger: connect it"):
        choose([deleted, nameless], "main", None)


def test_a_credential_in_place_of_a_branch_is_not_shown() -> None:
    """The error for a branch does not show a value that looks like a token."""
    token = "cfut_" + "a1B2" * 10
    with pytest.raises(NotFoundError) as caught:
        choose(triggers(MAIN), token, None)
    assert token not in str(caught.value)
