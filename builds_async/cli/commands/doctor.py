"""`builds-async doctor`."""

from typing import Annotated

from cyclopts import Group, Parameter

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
from builds_async.cli.probing import probe as run_probe
from builds_async.cli.repairing import CHOSEN_BY_PLAN, REPAIR, Replacement, repair
from builds_async.cli.tables import diagnosis_table
from builds_async.cli.terminal import stdout
from builds_async.session.refusal import BY_STATUS

_PROBE = Group("Probe", sort_key=4)


async def doctor_command(
    subject: Annotated[
        str | None,
        Parameter(
            show=False,
            help="The Worker for --repair-build-token, by name or tag, or the build for --probe. Default: all"
            " Workers, or the newest builds.",
        ),
    ] = None,
    /,
    *,
    repair_build_token: Annotated[
        bool,
        Parameter(
            group=REPAIR,
            help="Find triggers whose build token is dead, for one Worker or for all, and show the calls that"
            " repair them.",
        ),
    ] = False,
    yes: Annotated[bool, Parameter(group=REPAIR, help="Make these calls.")] = False,
    replacement: Replacement = CHOSEN_BY_PLAN,
    probe: Annotated[
        bool,
        Parameter(
            group=_PROBE,
            help="Test undocumented behavior of the API, and report which assumptions hold.",
        ),
    ] = False,
    report: Annotated[
        str | None,
        Parameter(
            group=_PROBE,
            help="Write the answers to this file as Markdown, without ids, names, log lines or secrets, for"
            " an issue.",
        ),
    ] = None,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Check the account, the token and its permissions, and give advice on problems."""
    if repair_build_token:
        if probe or report is not None:
            raise CommandError("--repair-build-token and --probe exclude each other")
        return await repair(connection, subject, replacement, yes=yes, output=output)
    if yes or replacement != CHOSEN_BY_PLAN:
        raise CommandError("this needs --repair-build-token")
    if probe:
        return await run_probe(connection, subject, file=report, output=output)
    if subject is not None or report is not None:
        raise CommandError("this needs --probe, or --repair-build-token")
    return await _diagnose(connection, output)


async def _diagnose(connection: Connection, output: str) -> int:
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
        from builds_async.fleet import diagnose_engine  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise CommandError(f"--shared: {error}") from None
    return await diagnose_engine(url)


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
