"""The reason for a failed build, from realistic log endings."""

import pytest

from builds_async import Build, BuildOutcome, BuildStatus, LogLine
from builds_async.models.reason import ReasonFinder, failure_reason, names_dead_token
from tests.support.case import cases

GENERAL = "Failed: error occurred while running build command"
REPAIR = "To repair it, run `builds-async doctor --repair-build-token`"
TOKEN = (
    "Failed: The build token selected for this build has been deleted or rolled and cannot be used for this"
    " build. Please update your build token in the Worker Builds settings and retry the build."
)


def build(outcome: str | None = "fail", status: str = "stopped") -> Build:
    return Build(
        build_uuid="b", status=BuildStatus(status), build_outcome=BuildOutcome(outcome) if outcome else None
    )


def reason(*texts: str, outcome: str | None = "fail") -> str | None:
    return build(outcome).failure_reason([LogLine(1784052295481, text) for text in texts])


@cases(
    ("texts", "expected"),
    [
        pytest.param(
            ["$ vite build", "", '✘ [ERROR] Could not resolve "./missing"', "", GENERAL],
            '✘ [ERROR] Could not resolve "./missing"',
            id="wrangler",
        ),
        pytest.param(
            [
                "✘ [ERROR] Build failed with 1 error:",
                "",
                '\tsrc/index.ts:3:21: ERROR: Could not resolve "./missing"',
                "Failed: error occurred while running deploy command",
            ],
            '✘ [ERROR] Build failed with 1 error: src/index.ts:3:21: ERROR: Could not resolve "./missing"',
            id="the line after a colon",
        ),
        pytest.param(
            [
                "\x1b[31m✘ \x1b[41;31m[\x1b[41;97mERROR\x1b[41;31m]\x1b[0m \x1b[1mNo account id\x1b[0m",
                GENERAL,
            ],
            "✘ [ERROR] No account id",
            id="colors",
        ),
        pytest.param(
            [
                "npm error code ELIFECYCLE",
                "npm error errno 1",
                'npm error Missing script: "build"',
                "npm error A complete log of this run can be found in: /opt/x.log",
                GENERAL,
            ],
            'npm error Missing script: "build"',
            id="npm",
        ),
        pytest.param(
            ["npm error code 127", "npm error path /opt/buildhome/repo", "npm error command failed", GENERAL],
            "npm error code 127",
            id="npm says nothing else",
        ),
        pytest.param(
            ["src/index.ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'.", GENERAL],
            "src/index.ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'.",
            id="TypeScript",
        ),
        pytest.param(
            ["Traceback (most recent call last):", '  File "a.py", line 1', "KeyError: 'x'", GENERAL],
            "KeyError: 'x'",
            id="Python",
        ),
        pytest.param(
            ["error[E0425]: cannot find value `x` in this scope", GENERAL],
            "error[E0425]: cannot find value `x` in this scope",
            id="Rust",
        ),
        pytest.param(
            ["/bin/sh: 1: hugo: not found", GENERAL], "/bin/sh: 1: hugo: not found", id="command not found"
        ),
        pytest.param(
            ["Executing user build command: npm run build", "fatal: could not read Username", GENERAL],
            "fatal: could not read Username",
            id="git",
        ),
        pytest.param(["Error: first", "Error: second", GENERAL], "Error: first", id="the first of several"),
        pytest.param(
            ["Error: something else", TOKEN],
            f"{TOKEN.partition('. ')[0]}. {REPAIR}",
            id="the service's own verdict",
        ),
        pytest.param(
            ["Failed: The build token has expired"],
            f"Failed: The build token has expired. {REPAIR}",
            id="a dead token in other words",
        ),
        pytest.param(
            ["Failed: no build token is needed"], "Failed: no build token is needed", id="no dead token"
        ),
        pytest.param(
            ["0 errors, 3 warnings", "no error here", GENERAL], GENERAL, id="only the general verdict"
        ),
        pytest.param(["one", "two", "", "\t"], "two", id="the last line"),
        pytest.param([], "fail", id="no log"),
        pytest.param(["", "  "], "fail", id="an empty log"),
    ],
)
def test_reason(texts: list[str], expected: str) -> None:
    """The most informative line is found among the others."""
    assert reason(*texts) == expected[:300]


def test_long_lines_are_cut() -> None:
    """A reason has at most 300 characters."""
    found = reason("Error: " + "x" * 1000)
    assert found is not None
    assert len(found) == 300


@cases("outcome", ["cancelled", "terminated", "skipped", "dce"])
def test_other_outcomes(outcome: str) -> None:
    """The reason for a canceled, terminated or skipped build is its outcome, whatever it printed."""
    assert reason("Error: x", outcome=outcome) == outcome


def test_success_has_no_reason() -> None:
    """A build that succeeded or still runs has no reason."""
    assert reason("Error: x", outcome="success") is None
    assert build(None, "running").failure_reason([]) is None


def test_stopped_without_an_outcome() -> None:
    """The reason for a build without an outcome is its status."""
    assert reason(outcome=None) == "stopped"


@cases(
    ("texts", "expected"),
    [
        (["Initializing build environment...", "Success: Finished initializing", TOKEN, ""], True),
        ([f"\x1b[31m{TOKEN}\x1b[0m"], True),
        ([TOKEN, "Executing user build command: npm run build"], False),
        (["the log says: " + TOKEN], False),
        ([GENERAL], False),
        ([], False),
    ],
    ids=["three lines", "colors", "not the end", "not the beginning", "another failure", "no lines"],
)
def test_a_dead_token_is_named(texts: list[str], expected: bool) -> None:
    """Only the service's own last line reports a dead build token."""
    assert names_dead_token(texts) is expected


def test_advice_is_never_cut() -> None:
    """The reason keeps the command that repairs the token, however long the service's line is."""
    long = f"Failed: {'x ' * 29} build token {'y ' * 38} rolled {'z ' * 500}"
    assert (reason(long) or "").endswith(REPAIR)
    assert len(reason(long) or "") <= 300


@pytest.mark.parametrize(
    ("texts", "number"),
    [
        pytest.param(["", "ok", "Error: one", "Error: two", GENERAL], 2, id="the first error"),
        pytest.param(["Error: two lines:", "", "the second", GENERAL], 0, id="an error in two lines"),
        pytest.param(["Error: one", TOKEN], 1, id="the service's error"),
        pytest.param(["npm error code 1", "npm error path /", GENERAL, ""], 0, id="npm"),
        pytest.param(["nothing", GENERAL, ""], 1, id="the service's general error"),
        pytest.param(["nothing", "", "at all", ""], 2, id="the last line"),
    ],
)
def test_reason_has_a_place(texts: list[str], number: int) -> None:
    """The reason knows its line number, and chunking the log does not change it."""
    for size in range(1, len(texts) + 1):
        finder = ReasonFinder()
        for at in range(0, len(texts), size):
            finder.add(texts[at : at + size])
        assert finder.reason is not None
        assert (finder.reason.at, finder.reason.text) == (number, failure_reason(texts))
