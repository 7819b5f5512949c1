"""`builds-async doctor --repair-build-token`: shows the plan of a repair, and applies it on request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from cyclopts import Group, Parameter

from builds_async import (
    BrokenTrigger,
    BuildsClient,
    NewBuildToken,
    RepairCall,
    TokenRepair,
    TokenRepairPlan,
    TokenRepairReport,
)
from builds_async.cli.connect import connect, read_token
from builds_async.cli.exits import OK, UNSUCCESSFUL, CommandError, code_of
from builds_async.cli.lookup import all_workers, best_effort, find_worker
from builds_async.cli.options import Connection
from builds_async.cli.printer import json_line, print_record
from builds_async.cli.terminal import Screen, stderr, stdout
from builds_async.cli.text import visible_text

OPTION = "--new-token-file"


REPAIR = Group("Repair", sort_key=3)
"""The options of a repair, in the help of `doctor`."""


@Parameter(name="*", group=REPAIR)
@dataclass(frozen=True, kw_only=True)
class Replacement:
    """The user's replacement for a dead build token. If both are None, the plan chooses."""

    build_token: Annotated[
        str | None,
        Parameter(
            help="The UUID of the build token to use. Default: the one with which the latest successful"
            " build deployed, or the only other one.",
        ),
    ] = None

    new_token_file: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="Register the API token in this file as a new build token and use that; - reads standard"
            " input. A user must own it, and builds get its permissions.",
        ),
    ] = None


CHOSEN_BY_PLAN = Replacement()


async def repair(
    connection: Connection,
    worker: str | None,
    replacement: Replacement,
    *,
    yes: bool,
    output: str,
) -> int:
    """Plan a repair, print its calls, and make them with `yes`; return the exit code."""
    file = replacement.new_token_file
    if file is not None and replacement.build_token is not None:
        raise CommandError(f"--build-token and {OPTION} exclude each other")
    new = None if file is None else await _new_token(connection, file)
    async with connect(connection) as client:
        tags = None if worker is None else [await find_worker(client, worker)]
        repairing = client.token_repair(tags, build_token_uuid=replacement.build_token, new_token=new)
        plan = await repairing.plan()
        names = await best_effort(all_workers(client)) or {} if plan.broken else {}
        if output == "json":
            print_record(stdout(), plan)
        else:
            _print_plan(stdout(), plan, names)
        if not plan.is_needed:
            return OK
        if plan.problem:
            raise CommandError(_advised(plan.problem), UNSUCCESSFUL)
        if not yes:
            stderr().write("nothing was changed: with --yes, these calls are made\n")
            return UNSUCCESSFUL
        return await _apply(repairing, plan, output)


async def _apply(repairing: TokenRepair, plan: TokenRepairPlan, output: str) -> int:
    report = await repairing.apply(plan)
    if output == "json":
        print_record(stdout(), _record(report))
    else:
        _print_report(stdout(), report)
    if report.error is None:
        return OK
    stderr().write(
        f"builds-async: {visible_text(str(report.error))}\n"
        f"{len(report.done)} of {len(plan.calls)} calls were made; the same command makes the others\n"
    )
    return code_of(report.error)


async def _new_token(connection: Connection, file: str) -> NewBuildToken:
    """The API token in the file, with its id, which only a request with that token returns."""
    if file == connection.token_file == "-":
        raise CommandError(f"{OPTION} and --token-file can't both be standard input")
    token = read_token(file, OPTION)
    client = BuildsClient(account_id=connection.account_id, api_token=token, base_url=connection.base_url)
    async with client:
        status = await client.tokens.verify()
    if status.id is None or status.status not in {None, "active"}:
        raise CommandError(f"{OPTION}: this token can't be used: its status is {status.status}")
    return NewBuildToken(build_token_secret=token, cloudflare_token_id=status.id)


def _advised(problem: str) -> str:
    return f"{problem} (options --build-token and {OPTION})"


def _print_plan(screen: Screen, plan: TokenRepairPlan, names: Mapping[str, str]) -> None:
    if not plan.is_needed:
        screen.write("no dead build token was found\n")
        return
    for broken in plan.broken:
        screen.write(f"{visible_text(_described(broken, names))}\n")
    if plan.replacement is not None:
        token = f"{plan.replacement.build_token_name} ({plan.replacement.build_token_uuid})"
        proof = "a build succeeded with it" if plan.is_proven else "no build is known that used it"
        screen.write(f"replacement: {visible_text(token)}; {proof}\n")
    _print_calls(screen, "calls", plan.calls)


def _described(broken: BrokenTrigger, names: Mapping[str, str]) -> str:
    worker = names.get(broken.external_script_id, broken.external_script_id)
    why = "its API token was rolled, deleted or expired" if broken.is_registered else "it was deleted"
    return (
        f"{worker}: the trigger {broken.trigger_name or broken.trigger_uuid} has the build token"
        f" {broken.build_token_name or ''} ({broken.build_token_uuid}), which is dead: {why}"
    )


def _print_report(screen: Screen, report: TokenRepairReport) -> None:
    _print_calls(screen, "done", report.done)
    _print_calls(screen, "not done", report.left)


def _print_calls(screen: Screen, title: str, calls: Sequence[RepairCall]) -> None:
    if calls:
        lines = (visible_text(f"  {call.method} {call.path} {json_line(call.body)}") for call in calls)
        screen.write("\n".join((f"{title}:", *lines, "")))


def _record(report: TokenRepairReport) -> dict[str, object]:
    error = None if report.error is None else str(report.error)
    return {**msgspec.structs.asdict(report), "error": error}
