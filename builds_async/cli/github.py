"""Reports to GitHub Actions: groups and an error in the log, the summary of the step, and its outputs.

What a build wrote is escaped for each place, so that it can't become a command, markup or another output.
"""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from builds_async import Build
from builds_async.cli.exits import UNAVAILABLE, CommandError
from builds_async.cli.facts import DIGITS
from builds_async.cli.hyperlinks import is_address
from builds_async.cli.terminal import Screen
from builds_async.cli.text import visible_text
from builds_async.cli.times import format_duration

_PUNCTUATION = r"([!-/:-@\[-`{-~])"


def in_actions() -> bool:
    """Whether the command runs in a job of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def command(screen: Screen, name: str, message: str = "") -> None:
    """Write a workflow command on a line of its own, with the message as its data."""
    data = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    screen.write(f"::{name}::{visible_text(data)}\n", trusted=True)


def report(
    build: Build,
    outcome: str,
    reason: str | None,
    *,
    preview_url: str | None,
    versions: tuple[str, ...],
    dashboard_url: str | None,
) -> None:
    """Append to the summary and the outputs of the step, as far as the job has files for them."""
    preview_url = build.preview_url or preview_url
    rows = {
        "Outcome": escaped(outcome),
        "Reason": escaped(reason or ""),
        "Duration": "" if build.duration is None else format_duration(build.duration),
        "Preview": _link(preview_url),
        "Dashboard": _link(dashboard_url),
    }
    table = "".join(f"| {name} | {value} |\n" for name, value in rows.items() if value)
    title = f"Build {escaped(build.build_uuid[:DIGITS])}"
    _append("GITHUB_STEP_SUMMARY", f"### {title}\n\n| | |\n| --- | --- |\n{table}\n")
    outputs = {
        "build": build.build_uuid,
        "outcome": outcome,
        "preview-url": preview_url or "",
        "version": versions[-1] if versions else "",
    }
    _append("GITHUB_OUTPUT", _outputs(outputs))


def escaped(text: str) -> str:
    """The text as one line of Markdown that shows it as it is."""
    return re.sub(_PUNCTUATION, r"\\\1", visible_text(text))


def _link(address: str | None) -> str:
    if not address:
        return ""
    return f"<{address}>" if is_address(address) else escaped(address)


def _outputs(values: Mapping[str, str]) -> str:
    # A delimiter that no value can contain: otherwise a value could add outputs.
    end = f"end_{secrets.token_hex(16)}"
    return "".join(f"{name}<<{end}\n{visible_text(value)}\n{end}\n" for name, value in values.items())


def _append(variable: str, text: str) -> None:
    if path := os.environ.get(variable):
        try:
            with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            raise CommandError(f"can't write {variable}: {error.strerror}", UNAVAILABLE) from error
