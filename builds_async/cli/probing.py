"""`builds-async doctor --probe`: prints what a probe has found out, and writes its report."""

import asyncio
from pathlib import Path

from rich.table import Table

from builds_async import ProbeReport
from builds_async.cli.connect import connect
from builds_async.cli.exits import OK, UNAVAILABLE, CommandError
from builds_async.cli.lookup import find_build
from builds_async.cli.options import Connection
from builds_async.cli.printer import print_record
from builds_async.cli.tables import cell
from builds_async.cli.terminal import Spinner, stderr, stdout
from builds_async.live.files import check_replaceable, replace_file

_STYLES = {"differs": "yellow", "holds": "green", "unknown": "dim"}


async def probe(connection: Connection, build: str | None, *, file: str | None, output: str) -> int:
    """Probe the API, print the findings and write the report; return the exit code.

    A stop signal ends the probe; what is known by then is printed and written all the same.
    """
    path = None if file is None else _writable(file)
    async with connect(connection) as client:
        build_uuid = None if build is None else await find_build(client, build)
        probing = client.probe(build_uuid)
        try:
            with Spinner(stderr(), "sending at most 30 requests"):
                await probing.run()
        except asyncio.CancelledError:
            _publish(probing.report, path, output)
            raise
    return _publish(probing.report, path, output)


def _publish(report: ProbeReport, path: Path | None, output: str) -> int:
    if output == "json":
        for finding in report.findings:
            print_record(stdout(), finding)
    else:
        stdout().print(_table(report))
    if path is not None:
        try:
            replace_file(path, report.markdown.encode())
        except OSError as error:
            raise CommandError(f"--report: can't write the file: {error.strerror}") from error
        stderr().write("the report has no ids, names, log lines or secrets: it can be pasted into an issue\n")
    if report.is_complete:
        return OK
    stderr().write(f"the probe was not completed ({report.requests} requests)\n")
    return UNAVAILABLE


def _table(report: ProbeReport) -> Table:
    table = Table.grid(padding=(0, 2))
    for finding in report.findings:
        message = cell(finding.assumption)
        answer = finding.answer or finding.reason
        message.append(": ").append_text(cell(answer, "" if finding.answer else "dim"))
        table.add_row(cell(finding.state, _STYLES.get(finding.state, "")), cell(finding.question), message)
    for name, why in report.not_asked.items():
        table.add_row(cell("not asked", "dim"), cell(name), cell(why, "dim"))
    return table


def _writable(file: str) -> Path:
    """The path of the report. Checked before anything is asked, so that no answer is lost."""
    path = Path(file)
    try:
        check_replaceable(path)
    except OSError as error:
        raise CommandError(f"--report: can't write the file: {error.strerror}") from error
    return path
