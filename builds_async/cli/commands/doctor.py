"""`builds-async doctor`."""

from builds_async import APIError, Diagnosis, Finding
from builds_async.cli.connect import connect, shared_url
from builds_async.cli.exits import (
    ACCESS_DENIED,
    OK,
    UNAVAILABLE,
    UNSUCCESSFUL,
    USAGE,
    CommandError,
    code_of,
)
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.printer import print_record
from builds_async.cli.tables import diagnosis_table
from builds_async.cli.terminal import stdout
from builds_async.session.refusal import BY_STATUS


async def doctor_command(*, output: Output = "text", connection: Connection = CONNECTION) -> int:
    """Check the account, the token and its permissions, and give advice on problems."""
    out = stdout()
    url = shared_url(connection)
    engine = () if url is None else await _examine(url)
    async with connect(connection, is_shared=False) as client:
        diagnosis = await client.diagnose()
        findings = (*diagnosis.findings, *engine)
        if output == "json":
            for finding in findings:
                print_record(out, finding)
        else:
            out.print(diagnosis_table(findings))
        return _code(diagnosis) or _code_of_engine(engine)


async def _examine(url: str) -> tuple[Finding, ...]:
    try:
        from builds_async.fleet.examine import examine  # noqa: PLC0415  # an extra
        from builds_async.fleet.redis import RedisEngine  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        raise CommandError('--shared needs an extra: pip install "builds-async[fleet]"') from None
    engine = RedisEngine(url)
    try:
        return await examine(engine)
    finally:
        await engine.aclose()


def _code_of_engine(findings: tuple[Finding, ...]) -> int:
    states = {it.check: it.state for it in findings}
    if states.get("engine") == "unknown":
        return UNAVAILABLE
    return USAGE if "problem" in states.values() else OK


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
