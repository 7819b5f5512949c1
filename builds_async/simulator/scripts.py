"""Scripts of typical builds, with the texts and the order of real logs."""

from collections.abc import Iterable

from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.simulator.build_details import Moment
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.deployments import makes

_BEGINNING = (
    "Initializing build environment...",
    "Initializing build environment...",  # real logs often begin with the same line twice
    "Success: Finished initializing build environment",
    "Cloning repository...",
)
_PREPARATION = (
    "Restoring from dependencies cache",
    "Success: Dependencies restored from build cache.",
    "Detected the following tools from environment: npm@10.9.2, nodejs@22.16.0",
    "Installing project dependencies: npm clean-install --progress=false",
    "",
    "",
)
_SUCCESS = (
    "Success: Build command completed",
    "Executing user deploy command: npx wrangler deploy",
)
_END = "✨ Success! Build completed."
_FAILURE = (
    "✘ [ERROR] Build failed with 1 error:",
    "",
    '\tsrc/index.ts:3:21: ERROR: Could not resolve "./missing"',
    "Failed: error occurred while running build command",
)
_DEAD_TOKEN = (
    "Initializing build environment...",
    "Success: Finished initializing build environment",
    (
        "Failed: The build token selected for this build has been deleted or rolled and cannot be used for"
        " this build. Please update your build token in the Worker Builds settings and retry the build."
    ),
)
_VERSION_LINES = {
    "deployment": ("Current Version ID: {0}",),
    "version": ("Worker Version ID: {0}", "Version Preview URL: {1}"),
    "nothing": (),
}
"""The lines in which wrangler reports its upload, by what the build makes."""


def build_script(
    lines: int | Iterable[str] = 20,
    *,
    rate: float = 5.0,
    outcome: BuildOutcome = BuildOutcome.SUCCESS,
    queued: float = 2.0,
    initializing: float = 3.0,
    outcome_after: float = 0.0,
    uploaded: str | Iterable[str] = (),
) -> tuple[Moment, ...]:
    """The script of a typical build, for `BuildsSimulator.add_build`.

    The build command writes `lines`, or that many numbered lines, at `rate` lines per second. The log also
    has the service's own lines before and after them, including repeated and empty ones. The log of a failure
    ends with an error and the service's last line. Skipped builds have no log.

    The build is queued for `queued` seconds, and its command runs after another `initializing` seconds.
    `outcome` is set `outcome_after` seconds after the status `stopped`. `uploaded` is a line, or lines, in
    which a successful build reports its upload, such as `Current Version ID: ...`.
    """
    outcome = BuildOutcome(outcome)  # a plain str would be taken for a log line
    if outcome == BuildOutcome.SKIPPED:
        return ((queued, BuildStatus.STOPPED), (queued + outcome_after, outcome))
    start = queued + initializing
    uploaded = (uploaded,) if isinstance(uploaded, str) else tuple(uploaded)
    # The service writes its last lines one interval after those of the command.
    output = numbered(lines)
    end = start + (len(output) + 1) / rate
    return (
        (queued, BuildStatus.INITIALIZING),
        *((queued, text) for text in _BEGINNING),
        (start, BuildStatus.RUNNING),
        *((start, text) for text in _PREPARATION),
        (start, "Executing user build command: npm run build"),
        *((start + number / rate, text) for number, text in enumerate(output, 1)),
        *((end, text) for text in _ending(outcome, uploaded)),
        (end, BuildStatus.STOPPED),
        (end + outcome_after, outcome),
    )


def _ending(outcome: BuildOutcome, uploaded: Iterable[str]) -> tuple[str, ...]:
    if outcome == BuildOutcome.SUCCESS:
        return (*_SUCCESS, *uploaded, _END)
    return _FAILURE if outcome == BuildOutcome.FAIL else ()


def typical_build(build: SimulatedBuild) -> tuple[Moment, ...]:
    """The script of a build that is started over the API. Its log names the version that it makes."""
    version_id, url = build.version_id, build.details.preview_url
    lines = [line.format(version_id, url) for line in _VERSION_LINES[makes(build.details)]]
    return build_script(5, uploaded=lines if url else lines[:1])


def dead_token_script() -> tuple[Moment, ...]:
    """The script of a build with a dead build token: it fails within seconds, after three lines."""
    return (
        (1.0, BuildStatus.INITIALIZING),
        *((2.0, text) for text in _DEAD_TOKEN),
        (2.0, BuildStatus.STOPPED),
        (2.0, BuildOutcome.FAIL),
    )


def finished_script(lines: int | Iterable[str], outcome: BuildOutcome, duration: float) -> tuple[Moment, ...]:
    """The script of a build that stops after `duration` seconds. Its log is `lines`, evenly spaced."""
    outcome = BuildOutcome(outcome)  # a plain str would be taken for a log line
    output = numbered(lines)
    # A build usually starts to run after a second. A shorter one starts and stops at the same moment.
    start = min(1.0, duration)
    step = (duration - start) / max(len(output), 1)
    return (
        (0.0, BuildStatus.INITIALIZING),
        (start, BuildStatus.RUNNING),
        *((start + step * number, text) for number, text in enumerate(output)),
        (duration, BuildStatus.STOPPED),
        (duration, outcome),
    )


def numbered(lines: int | Iterable[str]) -> tuple[str, ...]:
    """The lines themselves, or that many generated ones."""
    if isinstance(lines, int):
        return tuple(f"line {number} of {lines}" for number in range(1, lines + 1))
    return tuple(lines)
