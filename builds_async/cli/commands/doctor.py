"""`builds-async doctor`: whether account, token and permissions are right."""

from rich.table import Table

from builds_async import Diagnosis
from builds_async.cli.connect import connect
from builds_async.cli.exits import NO_ACCESS, NO_ANSWER, NO_SUCCESS, OK
from builds_async.cli.facts import text
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.out import stdout
from builds_async.cli.records import write_record

_STYLES = {"ok": "green", "problem": "bold red", "unknown": "yellow"}


async def doctor_command(*, output: Output = "text", connection: Connection = CONNECTION) -> int:
    """Find out whether account, token and permissions are right, and what to do if not."""
    async with connect(connection) as client:
        diagnosis = await client.diagnose()
    out = stdout()
    if output == "json":
        for finding in diagnosis.findings:
            write_record(out, finding)
    else:
        out.print(_table(diagnosis))
    return _code(diagnosis)


def _table(diagnosis: Diagnosis) -> Table:
    table = Table.grid(padding=(0, 2))
    for finding in diagnosis.findings:
        told = text(finding.message)
        if finding.advice and finding.state != "ok":
            told.append("\n").append_text(text(f"{finding.advice}.", "dim"))
        table.add_row(text(finding.state, _STYLES.get(finding.state, "")), text(finding.check), told)
    return table


def _code(diagnosis: Diagnosis) -> int:
    if diagnosis.ok:
        return OK
    problems = {finding.check for finding in diagnosis.findings if finding.state == "problem"}
    if all(finding.check != "credentials" for finding in diagnosis.findings):
        return NO_ANSWER  # nothing could be told of them
    return NO_ACCESS if problems - {"build_minutes", "scripts", "queues"} else NO_SUCCESS
