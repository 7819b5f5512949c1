"""What is told of a build, in words."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

from builds_async import Build, BuildTriggerMetadata, Trigger
from builds_async.cli.outcome import outcome_word
from builds_async.cli.safe import plain
from builds_async.cli.times import spoken, stamp

_STYLES = {
    "success": "green",
    "fail": "bold red",
    "cancelled": "yellow",
    "terminated": "red",
    "skipped": "dim",
    "queued": "dim",
    "initializing": "cyan",
    "running": "cyan",
}

_COLUMNS = ("State", "Branch", "Commit", "Age", "Took", "Build")
_DISPENSABLE = ("Took", "Commit", "Branch", "Age")
_GAP = 2


def text(value: object, style: str = "") -> Text:
    """Text from outside for a table: control characters visible, nothing in it read as markup."""
    return Text("" if value is None else plain(str(value)), style)


def state(build: Build) -> Text:
    """The outcome, or the status of a build without one, in its colour."""
    word = outcome_word(build)
    return text(word, _STYLES.get(word, ""))


class BuildTable:
    """A table of builds. Where it is too wide, it does without what is least missed, then folds the rest."""

    def __init__(self, *leading: str) -> None:
        self._names = (*leading, *_COLUMNS)
        self._rows: list[tuple[Text, ...]] = []

    def add(self, *cells: Text) -> None:
        """Add a row; cells that are left out stay empty."""
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
        shown = list(range(len(self._names)))
        needed = [
            max(len(name), *(row[at].cell_len for row in self._rows), 0)
            for at, name in enumerate(self._names)
        ]
        for name in _DISPENSABLE:
            if sum(needed[number] + _GAP for number in shown) - _GAP <= width:
                break
            shown.remove(self._names.index(name))
        return shown


def row(build: Build | None, now: datetime) -> tuple[Text, ...]:
    """The cells that a `BuildTable` has for a build."""
    if build is None:
        return (Text("never built", "dim"),)
    metadata = build.build_trigger_metadata or BuildTriggerMetadata()
    return (
        state(build),
        text(metadata.branch),
        text((metadata.commit_hash or "")[:8]),
        text(_seconds(build.created_on, now)),
        text(took(build, now)),
        text(build.build_uuid),
    )


def took(build: Build, now: datetime) -> str:
    """How long the build has been at work; "" before it began."""
    end = build.stopped_on if build.is_stopped else now
    return _seconds(build.initializing_on or build.running_on, end)


def details(build: Build, worker: str | None, reason: str | None, now: datetime) -> Table:
    """All that is known of one build, a fact in each row; what is not known is left out."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("build", text(build.build_uuid))
    table.add_row("state", state(build))
    for name, value in _facts(build, worker, reason, now).items():
        if value:
            table.add_row(name, text(value))
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
        "created": _moment(build.created_on),
        "began": _moment(build.initializing_on or build.running_on),
        "stopped": _moment(build.stopped_on),
        "took": took(build, now),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment, UTC)


def _seconds(start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return ""
    start, end = (it if it.tzinfo is not None else it.replace(tzinfo=UTC) for it in (start, end))
    return spoken((end - start).total_seconds())
