"""`builds-async live`."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.text import Text

from builds_async import (
    Build,
    BuildsClient,
    BuildsError,
    BulkResult,
    LiveVersion,
    LiveWorker,
    NoBuildReason,
    NotFoundError,
)
from builds_async.cli.connect import connect
from builds_async.cli.exits import ACCESS_DENIED, OK, UNSUCCESSFUL, CommandError
from builds_async.cli.lookup import all_workers, find_names
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.outcome import report_failures
from builds_async.cli.printer import print_record
from builds_async.cli.tables import LIVE_COLUMNS, BuildTable, age_cell, cell, commit_cells
from builds_async.cli.terminal import Spinner, stderr, stdout

_REASONS: Final = {
    NoBuildReason.BY_HAND: "none: deployed by hand",
    NoBuildReason.ROLLBACK: "none: rolled back",
    NoBuildReason.SECRET: "none: a secret changed",
    NoBuildReason.EXPIRED: "unknown: older than 90 days",
    NoBuildReason.REFUSED: "unknown: the token may not read builds",
}


async def live_command(
    *workers: Annotated[str, Parameter(help="Names or tags of Workers. Default: all.")],
    commit: Annotated[
        str | None,
        Parameter(
            help="Only versions that a build of this commit made: its hash, or at least 4 digits of it."
        ),
    ] = None,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Show the versions that Workers serve now, and the builds that made them."""
    wanted = None if commit is None else _checked_commit(commit)
    async with connect(connection) as client:
        names = await _names(client, workers)
        with Spinner(stderr(), "looking up deployments"):
            result = await client.live(names)
    found = result if wanted is None else _of_commit(result, wanted)
    if output == "json":
        _print_records(found, names)
    elif found.found or wanted is None:
        stdout().print(_table(found, names, datetime.now(UTC)))
    code = report_failures(result.failed)
    if wanted is None or code != OK:
        return code
    # Of Workers that were named, each has to serve the commit; of all Workers of the account, one.
    missed = [name for name in names if name not in found.found]
    if found.found and not (workers and missed):
        return OK
    where = f" in {', '.join(missed)}" if workers else ""
    stderr().write(f"{commit} is not live{where}\n")
    return UNSUCCESSFUL


async def _names(client: BuildsClient, words: Sequence[str]) -> tuple[str, ...]:
    if words:
        return await find_names(client, words)
    names = tuple((await all_workers(client)).values())
    if not names:
        stderr().write("this account has no Workers\n")
    return names


def _checked_commit(commit: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{4,40}", commit):
        raise CommandError(f"--commit: a commit hash has 4 to 40 hex digits, not {commit!r}")
    return commit.lower()


def _of_commit(result: BulkResult[LiveWorker], commit: str) -> BulkResult[LiveWorker]:
    """The Workers that serve a commit, with only the versions of it."""
    live = [version for worker in result.found.values() for version in worker.versions]
    if any(version.reason == NoBuildReason.REFUSED for version in live):
        # "Not live" would be a guess.
        raise CommandError(
            "--commit: this token may read deployments but no builds, so no commit is known: use a user-owned"
            ' token with "Workers CI Read"',
            ACCESS_DENIED,
        )
    found = {}
    for name, worker in result.found.items():
        versions = tuple(it for it in worker.versions if it.build is not None and _is_of(it.build, commit))
        if versions:
            found[name] = msgspec.structs.replace(worker, versions=versions)
    return BulkResult(found=found, failed=result.failed)


def _is_of(build: Build, commit: str) -> bool:
    known = (build.commit_hash or "").lower()
    # Either may be the shorter one: the API has been seen with 12 digits and with 40.
    return bool(known) and (known.startswith(commit) or commit.startswith(known))


def _table(result: BulkResult[LiveWorker], names: Iterable[str], now: datetime) -> BuildTable:
    table = BuildTable(*LIVE_COLUMNS)
    for name in names:
        if name in result.failed:
            table.add(cell(name), cell(_failure(result.failed[name]), "red"))
        elif name in result.missing:
            table.add(cell(name), Text("never deployed", "dim"))
        elif name in result.found:
            worker = result.found[name]
            for version in worker.versions:
                table.add(cell(name), *_cells(worker, version, now))
    return table


def _failure(error: BuildsError) -> str:
    return "no such Worker" if isinstance(error, NotFoundError) else "no response"


def _cells(worker: LiveWorker, version: LiveVersion, now: datetime) -> tuple[Text, ...]:
    share = "" if version.percentage is None else f"{version.percentage:g}%"
    reason = version.reason and _REASONS[version.reason]
    return (
        cell(share),
        *commit_cells(version.build),
        age_cell(worker.deployment.created_on, now),
        cell(reason, "yellow") if version.build is None else cell(version.build.build_uuid),
        cell(version.version_id),
    )


def _print_records(result: BulkResult[LiveWorker], names: Iterable[str]) -> None:
    for name in names:
        worker, error = result.found.get(name), result.failed.get(name)
        if worker is not None or error is not None or name in result.missing:
            record = {
                "worker": name,
                "deployment": worker and worker.deployment,
                "versions": worker.versions if worker else (),
            }
            print_record(stdout(), record if error is None else {**record, "error": str(error)})
