"""`builds-async doctor`."""

from builds_async import APIError, Diagnosis
from builds_async.cli.connect import connect
from builds_async.cli.exits import ACCESS_DENIED, OK, UNAVAILABLE, UNSUCCESSFUL, code_of
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.printer import print_record
from builds_async.cli.tables import diagnosis_table
from builds_async.cli.terminal import stdout
from builds_async.session.refusal import BY_STATUS


async def doctor_command(*, output: Output = "text", connection: Connection = CONNECTION) -> int:
    """Check the account, the token and its permissions, and give advice on problems."""
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
        return UNAVAILABLE  # the request that checks them failed
    if findings["credentials"].state == "problem":
        return ACCESS_DENIED
    builds = findings["builds"]
    if builds.state == "ok":
        return UNSUCCESSFUL  # no build minutes are left
    return code_of(BY_STATUS.get(builds.status or 0, APIError)(builds.message))
