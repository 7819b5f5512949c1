"""`builds-async doctor`: whether account, token and permissions are right."""

from rich.table import Table

from builds_async import Diagnosis
from builds_async.cli.connect import connect
from builds_async.cli.exits import NO_ACCESS, NO_ANSWER, NO_SUCCESS, OK, USAGE
from builds_async.cli.facts import text
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.out import stdout
from builds_async.cli.records import write_record

_CODES: dict[int | None, int] = {400: USAGE, 401: NO_ACCESS, 403: NO_ACCESS, 404: USAGE, 422: USAGE}
_STYLES = {"ok": "green", "problem": "bold red", "unknown": "yellow"}


async def doctor_command(*, output: Output = "text", connection: Connection = CONNECTION) -> int:
    """Find out whether account, token and permissions are right, and what to do if not."""
    out = stdout()
    async with connect(connection) as client:
        diagnosis = await client.diagnose()
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
    findings = {it.check: it for it in diagnosis.findings}
    if "credentials" not in findings:
        return NO_ANSWER  # nothing could be told of them
    if findings["credentials"].state == "problem":
        return NO_ACCESS
    builds = findings["builds"]
    return NO_SUCCESS if builds.state == "ok" else _CODES.get(builds.status, NO_ANSWER)
