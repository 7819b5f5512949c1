"""The options that commands share."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from cyclopts import Group, Parameter
from cyclopts.validators import Number

_CONNECTION = Group("Connection and debugging", sort_key=9)

Output: TypeAlias = Annotated[
    Literal["text", "json"],
    Parameter(name=("--output", "-o"), help="text, for people (the default), or json: one object per line."),
]


@Parameter(name="*", group=_CONNECTION)
@dataclass(frozen=True, kw_only=True)
class Connection:
    """Which account is asked, where, and as whom."""

    account_id: Annotated[
        str | None, Parameter(help="The account. Else the variable CLOUDFLARE_ACCOUNT_ID.")
    ] = None

    token_file: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="A file with the API token, - for standard input. Else the variable CLOUDFLARE_API_TOKEN,"
            " or CLOUDFLARE_API_KEY and CLOUDFLARE_EMAIL. A token is never taken from the command line.",
        ),
    ] = None

    base_url: Annotated[
        str | None,
        Parameter(
            help="Another address of the API. Else the variable CLOUDFLARE_BASE_URL, else Cloudflare's."
        ),
    ] = None

    debug: Annotated[bool, Parameter(negative=(), help="Show the traceback of an error.")] = False


_LINES = Group("Which lines, and how", sort_key=5)

_JSON_KEYS = "build_uuid, external_script_id, worker, timestamp, time, message"


@Parameter(name="*", group=_LINES)
@dataclass(frozen=True, kw_only=True)
class LineOptions:
    """Which log lines are printed, and how."""

    since: Annotated[
        str | None,
        Parameter(
            help="Only lines from then on: 10m, 1h30m, 2d (ago), or an ISO date or time (in --timezone)."
        ),
    ] = None

    tail: Annotated[
        int | None,
        Parameter(
            help="Begin at the last so many lines of what is there; 0 for only new ones.",
            validator=Number(gte=0),
        ),
    ] = None

    include: Annotated[
        tuple[str, ...], Parameter(help="Only lines in which one of these regular expressions is found.")
    ] = ()

    exclude: Annotated[
        tuple[str, ...], Parameter(help="No lines in which one of these regular expressions is found.")
    ] = ()

    highlight: Annotated[
        tuple[str, ...],
        Parameter(help="Set off what matches these regular expressions, where there is colour."),
    ] = ()

    timestamps: Annotated[bool, Parameter(help="Begin each line with its time.")] = False

    timezone: Annotated[
        str, Parameter(help="Zone of the times, by its IANA name such as Europe/Berlin (UTC).")
    ] = "UTC"

    output: Annotated[
        Literal["text", "json", "raw"],
        Parameter(
            name=("--output", "-o"),
            help="text (the default), safe to print at a terminal and in a CI job; json: one object per line"
            f" with {_JSON_KEYS}; raw: only the messages, as they came: a CI job obeys commands in them.",
        ),
    ] = "text"


CONNECTION: Final = Connection()
LINE_OPTIONS: Final = LineOptions()
