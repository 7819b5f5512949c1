"""Lays out builds and findings for rich: tables, a single row, and the details of one build."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache

from rich.console import Console, ConsoleOptions
from rich.style import Style
from rich.table import Table
from rich.text import Text

from builds_async import Build, BuildStep, BuildTriggerMetadata, Finding, Trigger
from builds_async.cli.facts import DIGITS, subject_of
from builds_async.cli.hyperlinks import is_address, link_for_rich
from builds_async.cli.layout import EXTRA, GAP, column, ellipsis_in, fit, laid_out, writable
from builds_async.cli.outcome import step_words
from builds_async.cli.terminal import UNLIMITED_WIDTH
from builds_async.cli.text import STATE_COLORS, paint, visible_text
from builds_async.cli.times import format_age, format_duration, format_time

_FINDING_STYLES = {"ok": "green", "problem": "bold red", "unknown": "yellow"}

BUILD_COLUMNS = ("State", "Branch", "Commit", "Age", "Took", "Author", "Subject")
"""The columns of a build, after its UUID."""
LIVE_COLUMNS = ("Worker", "Share", "Branch", "Commit", "Since", "Build", "Version")
"""The columns of `builds-async live`."""


def cell(value: object, style: str = "") -> Text:
    """Untrusted text as a table cell: control characters are visible, and markup has no effect."""
    return Text("" if value is None else visible_text(str(value)).replace("\t", " "), style)


def linked(text: Text, address: str | None) -> Text:
    """The cell as a link to the address, if it is one; a terminal without links shows the text alone."""
    if address and is_address(address):
        text.stylize(Style(link=link_for_rich(address)))
    return text


def state_cell(word: str) -> Text:
    """An outcome or a status in its color."""
    color = STATE_COLORS.get(word)
    return cell(word) if color is None else cell(word, _style(color))


@cache
def _style(color: str) -> str:
    """The style of rich for a color of an escape sequence."""
    return str(Text.from_ansi(paint("x", color)).spans[0].style)


class BuildTable:
    """A table of builds. `layout.fit` fits it into the width."""

    def __init__(self, *columns: str) -> None:
        self._names = columns
        self._rows: list[tuple[Text, ...]] = []

    def add(self, *cells: Text) -> None:
        """Add a row; cells missing at the end are empty."""
        self._rows.append((*cells, *[Text()] * (len(self._names) - len(cells))))

    def lines(self, width: int | None, encoding: str = "utf-8") -> list[Text]:
        """The header and the rows in this width. With None, they have all columns, and all cells whole."""
        rows = [[writable(it, encoding) for it in row] for row in self._rows]
        contents = {name: [row[at] for row in rows] for at, name in enumerate(self._names)}
        used = {name: max((it.cell_len for it in cells), default=0) for name, cells in contents.items()}
        widths = {name: max(len(name), it) for name, it in used.items()}
        if width is not None:
            empty = dict.fromkeys((name for name in EXTRA if not used.get(name)), 0)
            widths = fit({**widths, **empty}, width)
        columns = [(column(name), it) for name, it in widths.items()]
        header = tuple(Text(name, "bold") for name in widths)
        cells = zip(*(contents[name] for name in widths), strict=True)
        mark = ellipsis_in(encoding)
        return [laid_out(columns, row, mark) for row in (header, *cells)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        is_limited = options.max_width < UNLIMITED_WIDTH
        yield from self.lines(options.max_width if is_limited else None, options.encoding)


def build_cells(build: Build, now: datetime) -> tuple[Text, ...]:
    """The cells of a build in a `BuildTable`, below `BUILD_COLUMNS`."""
    metadata = build.build_trigger_metadata or BuildTriggerMetadata()
    return (
        state_cell(build.state),
        *commit_cells(build),
        age_cell(build.created_on, now),
        cell(_took(build, now)),
        cell(metadata.author),
        cell(subject_of(build)),
    )


def uuid_cell(build: Build | None, page: str | None = None, *, whole: bool = True) -> Text:
    """The UUID of a build, or its first digits, as a link to its page."""
    if build is None:
        return cell("-", "dim")  # not empty: scripts count the fields of a line
    return linked(cell(build.build_uuid if whole else build.build_uuid[:DIGITS]), page)


def commit_cells(build: Build | None) -> tuple[Text, Text]:
    """The branch and the commit of a build; empty without one."""
    return cell(build and build.branch), cell(((build and build.commit_hash) or "")[:DIGITS])


def age_cell(time: datetime | None, now: datetime) -> Text:
    """The time since a moment; empty if the moment is unknown."""
    seconds = _seconds(time, now)
    return cell(None if seconds is None else format_age(seconds))


def build_line(name: str, build: Build, now: datetime) -> Text:
    """One build on a line, with the name of its Worker after the UUID."""
    cells = (uuid_cell(build), cell(name), *build_cells(build, now))
    return Text(" " * GAP, no_wrap=True, overflow="ignore").join(it for it in cells if it.plain)


def build_details(
    build: Build,
    worker: str | None,
    reason: str | None,
    now: datetime,
    steps: Sequence[BuildStep] = (),
    *,
    page: str | None = None,
) -> Table:
    """Everything about one build, with one fact per row; unknown facts are left out.

    `page` is the address of its page in the dashboard.
    """
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("build", linked(cell(build.build_uuid), page))
    table.add_row("state", state_cell(build.state))
    for name, value in _facts(build, worker, reason, now, page).items():
        if value:
            table.add_row(name, linked(cell(value), value))
    for number, step in enumerate(steps):
        words = step_words(step) if step.outcome else f"{_lasted(step.started_on, now)} {step_words(step)}"
        table.add_row("" if number else "steps", cell(f"{step.name:<10} {words.strip()}".rstrip()))
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


def _facts(
    build: Build, worker: str | None, reason: str | None, now: datetime, page: str | None
) -> dict[str, str | None]:
    trigger, metadata = build.trigger or Trigger(), build.build_trigger_metadata or BuildTriggerMetadata()
    return {
        "reason": reason,
        "preview": build.preview_url,
        "dashboard": page,
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
    return _lasted(build.initializing_on or build.running_on, build.stopped_on if build.is_stopped else now)


def _lasted(start: datetime | None, end: datetime | None) -> str:
    seconds = _seconds(start, end)
    return "" if seconds is None else format_duration(seconds)


def _time(time: datetime | None) -> str | None:
    return None if time is None else format_time(time, UTC)


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    # The API may omit the zone.
    start, end = (it if it.tzinfo is not None else it.replace(tzinfo=UTC) for it in (start, end))
    return (end - start).total_seconds()
