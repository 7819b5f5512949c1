"""Lays out builds and findings for rich: tables, a single row, and the details of one build."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

from builds_async import Build, BuildStep, BuildTriggerMetadata, Finding, Trigger
from builds_async.cli.outcome import outcome_word, step_words
from builds_async.cli.text import STATE_COLORS, paint, visible_text
from builds_async.cli.times import format_duration, format_time

_FINDING_STYLES = {"ok": "green", "problem": "bold red", "unknown": "yellow"}

_COLUMNS = ("State", "Branch", "Commit", "Age", "Took", "Build")
LIVE_COLUMNS = ("Share", "Branch", "Commit", "Since", "Build", "Version")
"""Those of what is live, after the name of the Worker."""
_DISPENSABLE = ("Took", "Version", "Commit", "Branch", "Age", "Since")
"""Which columns to drop where the table is too wide, in this order."""
_GAP = 2


def cell(value: object, style: str = "") -> Text:
    """Untrusted text as a table cell: control characters are visible, and markup has no effect."""
    return Text("" if value is None else visible_text(str(value)), style)


def state_cell(word: str) -> Text:
    """An outcome or a status in its color."""
    color = STATE_COLORS.get(word)  # none of these words needs to be made safe
    return cell(word) if color is None else Text.from_ansi(paint(word, color))


class BuildTable:
    """A table of builds. If it is too wide, it drops the least important columns, then folds the rest."""

    def __init__(self, *leading: str, columns: Sequence[str] = _COLUMNS) -> None:
        self._names = (*leading, *columns)
        self._rows: list[tuple[Text, ...]] = []

    def add(self, *cells: Text) -> None:
        """Add a row; cells missing at the end are empty."""
        self._rows.append((*cells, *[Text()] * (len(self._names) - len(cells))))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        shown = self._fitting(options.max_width)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for number in shown:
            table.add_column(self._names[number], overflow="fold")
        for cells in self._rows:
            table.add_row(*(cells[number] for number in shown))
        yield table

    def _fitting(self, width: int) -> list[int]:
        """The indices of the columns that fit."""
        shown = list(range(len(self._names)))
        needed = [
            max(len(name), *(row[at].cell_len for row in self._rows), 0)
            for at, name in enumerate(self._names)
        ]
        for name in _DISPENSABLE:
            # No gap after the last column.
            if sum(needed[number] + _GAP for number in shown) - _GAP <= width:
                break
            if name in self._names:
                shown.remove(self._names.index(name))
        return shown


def build_cells(build: Build | None, now: datetime) -> tuple[Text, ...]:
    """The cells of a build in a `BuildTable`."""
    if build is None:
        return (state_cell("never built"),)
    return (
        state_cell(outcome_word(build)),
        *commit_cells(build),
        age_cell(build.created_on, now),
        cell(_took(build, now)),
        cell(build.build_uuid),
    )


def commit_cells(build: Build | None) -> tuple[Text, Text]:
    """The branch and the commit of a build; empty without one."""
    return cell(build and build.branch), cell(((build and build.commit_hash) or "")[:8])


def age_cell(time: datetime | None, now: datetime) -> Text:
    """How long ago something was; empty if that is not known."""
    return cell(_seconds(time, now))


def build_line(name: str, build: Build) -> Table:
    """One build on a line, after the name of its Worker."""
    table = Table.grid(padding=(0, 1))
    table.add_row(cell(name), *build_cells(build, datetime.now(UTC)))
    return table


def build_details(
    build: Build, worker: str | None, reason: str | None, now: datetime, steps: Sequence[BuildStep] = ()
) -> Table:
    """Everything about one build, with one fact per row; unknown facts are left out."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("build", cell(build.build_uuid))
    table.add_row("state", state_cell(outcome_word(build)))
    for name, value in _facts(build, worker, reason, now).items():
        if value:
            table.add_row(name, cell(value))
    for number, step in enumerate(steps):
        table.add_row("" if number else "steps", cell(f"{step.name:<10} {step_words(step)}".rstrip()))
    return table


def diagnosis_table(findings: Iterable[Finding]) -> Table:
    """The findings of `doctor`, with advice for each problem."""
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        message = cell(finding.message)
        if finding.advice and finding.state != "ok":
            message.append("\n").append_text(cell(f"{finding.advice}.", "dim"))
        style = _FINDING_STYLES.get(finding.state, "")
        table.add_row(cell(finding.state, style), cell(finding.check), message)
    return table


def _facts(build: Build, worker: str | None, reason: str | None, now: datetime) -> dict[str, str | None]:
    trigger, metadata = build.trigger or Trigger(), build.build_trigger_metadata or BuildTriggerMetadata()
    return {
        "reason": reason,
        "preview": build.preview_url,
        "Worker": " ".join(filter(None, (worker, trigger.external_script_id))),
        "branch": metadata.branch,
        "commit": metadata.commit_hash,
        "message": metadata.commit_message,
        "author": metadata.author,
        "repository": "/".join(filter(None, (metadata.provider_account_name, metadata.repo_name))),
        "pull request": None if build.pull_request is None else build.pull_request.pull_request_url,
        "started by": metadata.build_trigger_source,
        "deploy hook": None if build.deploy_hook is None else build.deploy_hook.deploy_hook_name,
        "trigger": " ".join(filter(None, (trigger.trigger_name, trigger.trigger_uuid))),
        "build command": metadata.build_command,
        "deploy command": metadata.deploy_command,
        "directory": metadata.root_directory,
        "created": _time(build.created_on),
        "began": _time(build.initializing_on or build.running_on),
        "stopped": _time(build.stopped_on),
        "took": _took(build, now),
    }


def _took(build: Build, now: datetime) -> str:
    """The duration of a build without its time in the queue; "" before it began."""
    end = build.stopped_on if build.is_stopped else now
    return _seconds(build.initializing_on or build.running_on, end)


def _time(time: datetime | None) -> str | None:
    return None if time is None else format_time(time, UTC)


def _seconds(start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return ""
    # The API may omit the zone.
    start, end = (it if it.tzinfo is not None else it.replace(tzinfo=UTC) for it in (start, end))
    return format_duration((end - start).total_seconds())
