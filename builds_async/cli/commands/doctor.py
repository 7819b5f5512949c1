"""`builds-async doctor`: whether account, token and permissions are right."""

from rich.table import Table

from builds_async import BuildsClient, BuildsError, Diagnosis
from builds_async.cli.connect import connect
from builds_async.cli.exits import NO_ACCESS, NO_ANSWER, NO_SUCCESS, OK, code_of
from builds_async.cli.facts import text
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.out import stdout
from builds_async.cli.records import write_record

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
        return await _code(client, diagnosis)


def _table(diagnosis: Diagnosis) -> Table:
    table = Table.grid(padding=(0, 2))
    for finding in diagnosis.findings:
        told = text(finding.message)
        if finding.advice and finding.state != "ok":
            told.append("\n").append_text(text(f"{finding.advice}.", "dim"))
        table.add_row(text(finding.state, _STYLES.get(finding.state, "")), text(finding.check), told)
    return table


async def _code(client: BuildsClient, diagnosis: Diagnosis) -> int:
    if diagnosis.ok:
        return OK
    credentials = next((it.state for it in diagnosis.findings if it.check == "credentials"), None)
    if credentials is None:
        return NO_ANSWER  # nothing could be told of them
    if credentials == "problem":
        return NO_ACCESS
    return await _code_of_builds(client) if diagnosis.limits is None else NO_SUCCESS


async def _code_of_builds(client: BuildsClient) -> int:
    """The code for what keeps builds from being read. Asked once more: findings tell it only in words."""
    try:
        await client.account.limits()
    except BuildsError as error:
        return code_of(error)
    return NO_ANSWER  # it has passed
