"""`builds-async doctor`."""

from builds_async import Diagnosis
from builds_async.cli.connect import connect
from builds_async.cli.exits import ACCESS_DENIED, OK, UNAVAILABLE, UNSUCCESSFUL, USAGE
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.printer import print_record
from builds_async.cli.tables import diagnosis_table
from builds_async.cli.terminal import stdout

_CODES: dict[int | None, int] = {
    400: USAGE,
    401: ACCESS_DENIED,
    403: ACCESS_DENIED,
    404: USAGE,
    422: USAGE,
}
"""By HTTP status, as the errors of the other commands have them."""


async def doctor_command(*, output: Output = "text", connection: Connection = CONNECTION) -> int:
    """Check account, token and permissions, and say what to do about problems."""
    out = stdout()
    async with connect(connection) as client:
        diagnosis = await client.diagnose()
        if output == "json":
            for finding in diagnosis.findings:
                print_record(out, finding)
        else:
            out.print(diagnosis_table(diagnosis))
        return _code(diagnosis)


def _code(diagnosis: Diagnosis) -> int:
    if diagnosis.ok:
        return OK
    findings = {it.check: it for it in diagnosis.findings}
    if "credentials" not in findings:
        return UNAVAILABLE  # the request that would have checked them failed
    if findings["credentials"].state == "problem":
        return ACCESS_DENIED
    builds = findings["builds"]
    return UNSUCCESSFUL if builds.state == "ok" else _CODES.get(builds.status, UNAVAILABLE)
