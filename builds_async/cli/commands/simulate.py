"""`builds-async simulate`."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from builds_async import BuildOutcome
from builds_async.cli.exits import OK, CommandError
from builds_async.cli.options import Debug
from builds_async.cli.terminal import stdout
from builds_async.cli.times import parse_seconds
from builds_async.simulator import (
    Behavior,
    BuildsSimulator,
    Fault,
    FaultKind,
    RateLimit,
    TokenKind,
    build_script,
)

_NAMES: Final = ("shop", "blog", "api", "docs", "auth")
_OUTCOMES: Final = (BuildOutcome.SUCCESS, BuildOutcome.FAIL, BuildOutcome.CANCELLED, BuildOutcome.SUCCESS)
_FAILURE: Final = (
    "Executing user build command: npm run build",
    '✘ [ERROR] Could not resolve "./missing"',
    "Failed: error occurred while running build command",
)
_MAX_COMMENTS: Final = 20
_HOUR: Final = 3600.0


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Content:
    """The Workers and builds of the simulated account."""

    workers: Annotated[int, Parameter(help="The number of Workers. Default: 3.", validator=Number(gte=1))] = 3

    builds: Annotated[
        int, Parameter(help="The number of builds per Worker. Default: 3.", validator=Number(gte=0))
    ] = 3

    lines: Annotated[
        int,
        Parameter(
            help="The number of lines that a build command prints. Default: 200.", validator=Number(gte=0)
        ),
    ] = 200

    rate: Annotated[
        float,
        Parameter(help="Lines per second of a running build. Default: 2.", validator=Number(gt=0)),
    ] = 2.0


_CONTENT: Final = Content()


async def simulate_command(
    *,
    host: Annotated[str, Parameter(help="A loopback address. Default: 127.0.0.1.")] = "127.0.0.1",
    port: Annotated[
        int, Parameter(help="The port. Default: a free one.", validator=Number(gte=0, lte=65535))
    ] = 0,
    content: Content = _CONTENT,
    faults: Annotated[
        tuple[str, ...],
        Parameter(
            help="Faults of requests: KIND[:TIMES], such as rate_limited, server_error:3, reset,"
            " cut_body, stall.",
            consume_multiple=True,
        ),
    ] = (),
    behavior: Annotated[
        tuple[str, ...],
        Parameter(
            help="Switches for undocumented behavior: NAME=VALUE, such as cursors=quoted,"
            " last_page_cursor=null, late_lines=1.5.",
            consume_multiple=True,
        ),
    ] = (),
    rate_limit: Annotated[
        int,
        Parameter(help="Requests per 5 minutes; 0 for no limit. Default: 1200.", validator=Number(gte=0)),
    ] = 1200,
    token_kind: Annotated[
        Literal["full", "read_only", "no_permission", "no_scripts", "no_queues", "account_owned"],
        Parameter(help="What the printed token may do. Default: full."),
    ] = "full",  # noqa: S107  # a kind, not a token
    every: Annotated[
        str | None,
        Parameter(help="Start another build, of each Worker in turn, at this interval, such as 30s or 5m."),
    ] = None,
    seed: Annotated[
        int | None, Parameter(help="A seed that fixes the IDs and the token for every run.")
    ] = None,
    debug: Debug = False,  # noqa: ARG001  # read by `run`
) -> int:
    """Serve a simulated Workers Builds until Ctrl-C."""
    interval = None if every is None else parse_seconds("--every", every)
    limit = RateLimit(limit=rate_limit) if rate_limit else None
    sim = BuildsSimulator(
        behavior=_behavior(behavior),
        faults=[_fault(word) for word in faults],
        rate_limit=limit,
        seed=seed,
    )
    try:
        await sim.start(host, port)
    except (OSError, ValueError) as error:
        raise CommandError(f"can't serve at {host}, port {port}: {error}") from error
    try:
        token = sim.api_token if token_kind == "full" else sim.add_token(TokenKind(token_kind))  # noqa: S105
        stdout().write(_introduction(sim, token, content))
        if interval is not None:
            await _keep_building(sim, interval, content)
        await asyncio.Event().wait()  # until a stop signal cancels it
    finally:
        await sim.stop()
    return OK


async def _keep_building(sim: BuildsSimulator, interval: float, content: Content) -> None:
    """Add a build at each interval; every third one fails."""
    for number, tag in enumerate(cycle(sim.workers.values())):
        await asyncio.sleep(interval)
        outcome = BuildOutcome.FAIL if number % 3 == 2 else BuildOutcome.SUCCESS
        script = build_script(content.lines, rate=content.rate, outcome=outcome)
        sim.add_build(script, external_script_id=tag)


def _fault(word: str) -> Fault:
    kind, colon, times = word.partition(":")
    if colon and not times.isdecimal():
        raise CommandError(f"--faults: {word!r}: TIMES must be a whole number, as in {kind}:3")
    try:
        return Fault(kind, times=int(times) if colon else 1)  # type: ignore[arg-type]  # checked by Fault
    except ValueError as error:
        raise CommandError(
            f"--faults: {word!r}: {error}; kinds are {', '.join(get_args(FaultKind))}"
        ) from None


def _behavior(words: Iterable[str]) -> Behavior:
    switches = dict[str, Any]()
    for word in words:
        name, _, value = word.partition("=")
        switches |= _switch(word, name, value)
    return Behavior(**switches)


def _switch(word: str, name: str, value: str) -> dict[str, Any]:
    reason = ""
    for candidate in (value, _decoded(value)):  # the text `null` may be a word of its own
        switch: dict[str, Any] = {name: candidate}
        try:
            Behavior(**switch)
        except (TypeError, ValueError) as error:
            reason = str(error)
        else:
            return switch
    known = ", ".join(Behavior.__struct_fields__)
    raise CommandError(f"--behavior: {word!r}: {reason}; switches are {known}")


def _decoded(value: str) -> object:
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def _introduction(sim: BuildsSimulator, token: str, content: Content) -> str:
    """Fill the account; return the variables to eval, and comments that name Workers and builds."""
    variables = [
        f"export CLOUDFLARE_BASE_URL={sim.url}",
        f"export CLOUDFLARE_ACCOUNT_ID={sim.account_id}",
        f"export CLOUDFLARE_API_TOKEN={token}",
        f"# queue of build events: {sim.add_queue('builds')}",
    ]
    comments: list[str] = []
    for number, name in enumerate(_names(content.workers)):
        tag = sim.add_worker(name)
        comments.append(f"# Worker {name} ({tag})")
        comments += _add_builds(sim, tag, number, content)
    if len(comments) > _MAX_COMMENTS:
        comments[_MAX_COMMENTS:] = ["# ... and more: see `builds-async status`"]
    return "\n".join((*variables, *comments, "# Ctrl-C stops the server", ""))


def _names(count: int) -> Iterator[str]:
    yield from islice(_NAMES, count)
    yield from (f"worker-{number:03}" for number in range(len(_NAMES), count))


def _add_builds(sim: BuildsSimulator, tag: str, first: int, content: Content) -> Iterator[str]:
    """Add builds to a Worker, oldest first, and yield a comment for each. The newest one is running.

    `first` is the place of the newest one among the outcomes, so that Workers differ.
    """
    lines = content.lines
    for left in reversed(range(content.builds)):
        if left == 0:
            script = build_script(lines, rate=content.rate, queued=0.0)
            running = sim.add_build(script, external_script_id=tag)
            yield f"#   running:   {running.build_uuid}"
            continue
        outcome = _OUTCOMES[(first + left) % len(_OUTCOMES)]
        log = (*(f"line {it} of {lines}" for it in range(1, lines + 1)), *_FAILURE)
        build = sim.add_finished_build(
            log if outcome == BuildOutcome.FAIL else lines, outcome, age=_HOUR * left, external_script_id=tag
        )
        yield f"#   {outcome + ':':10} {build.build_uuid}"
