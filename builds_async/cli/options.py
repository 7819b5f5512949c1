"""Defines the arguments and options that commands share, and their help."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from cyclopts import Group, Parameter
from cyclopts.validators import Number

BuildName: TypeAlias = Annotated[
    str,
    Parameter(
        help="The UUID of a build, or its first 8 digits if a command has printed it. The name or tag of a"
        " Worker stands for its latest build."
    ),
]
WorkerName: TypeAlias = Annotated[str, Parameter(help="The name or tag of a Worker.")]

Output: TypeAlias = Annotated[
    Literal["text", "json"],
    Parameter(name=("--output", "-o"), help="text (the default), or json: one object per line."),
]

Wide: TypeAlias = Annotated[
    bool,
    Parameter(help="Show whole UUIDs and all columns, and shorten nothing, even if the table does not fit."),
]

TemplateOutput: TypeAlias = Annotated[
    Literal["text", "json", "template"],
    Parameter(
        name=("--output", "-o"),
        help="text (the default); json: one object per line; template: one line per object, by --template.",
    ),
]
TemplateText: TypeAlias = Annotated[
    str | None,
    Parameter(
        name="--template",
        help="The form of a line, such as '{build} {outcome:<10} {branch}'; implies --output template. The"
        " values are safe to print; \\n and \\t are a line break and a tab. An unknown field is an error"
        " that lists the fields.",
    ),
]

LogFailed: TypeAlias = Annotated[
    bool,
    Parameter(
        negative="",
        help="Also print the lines of the log around the reason for a failure; with json, as log_failed.",
    ),
]

# No command reads it: `app.run` looks for the word itself, because parsing may fail.
Debug: TypeAlias = Annotated[bool, Parameter(help="Show the traceback of an error.")]

_CONNECTION = Group("Connection and debugging", sort_key=9)


@Parameter(name="*", group=_CONNECTION)
@dataclass(frozen=True, kw_only=True)
class Connection:
    """The account, the token and the address of the API."""

    account_id: Annotated[str | None, Parameter(help="The account ID. Default: CLOUDFLARE_ACCOUNT_ID.")] = (
        None
    )

    token_file: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="Read the API token from this file, or from standard input if it is -. Default:"
            " CLOUDFLARE_API_TOKEN, or CLOUDFLARE_API_KEY and CLOUDFLARE_EMAIL. There is no option for the"
            " token itself: other users could see it.",
        ),
    ] = None

    base_url: Annotated[
        str | None,
        Parameter(help="The address of the API. Default: CLOUDFLARE_BASE_URL, or Cloudflare's own."),
    ] = None

    shared: Annotated[
        str | None,
        Parameter(
            help="Share one rate budget with all processes of the Cloudflare user, over the Redis or Valkey"
            " at this URL. Default: BUILDS_ASYNC_SHARED. Use that variable for a URL with a password, because"
            " other users can see the command line.",
        ),
    ] = None

    debug: Debug = False


_LINES = Group("Log lines", sort_key=5)

_JSON_KEYS = "build_uuid, external_script_id, worker, timestamp, time, message"


@Parameter(name="*", group=_LINES)
@dataclass(frozen=True, kw_only=True)
class LineOptions:
    """The choice of log lines and their format."""

    since: Annotated[
        str | None,
        Parameter(
            help="Print only lines since this time: 10m, 1h30m or 2d (ago), or an ISO date or time in"
            " --timezone."
        ),
    ] = None

    tail: Annotated[
        int | None,
        Parameter(
            name=("--tail", "--lines", "-n"),
            help="Print only the last N existing lines and all new ones; 0 prints only new ones.",
            validator=Number(gte=0),
        ),
    ] = None

    include: Annotated[
        tuple[str, ...], Parameter(help="Print only lines that match one of these regular expressions.")
    ] = ()

    exclude: Annotated[
        tuple[str, ...], Parameter(help="Skip lines that match one of these regular expressions.")
    ] = ()

    highlight: Annotated[
        tuple[str, ...], Parameter(help="Highlight matches of these regular expressions, if color is on.")
    ] = ()

    timestamps: Annotated[
        bool | None,
        Parameter(
            negative="--no-timestamps",
            help="Print the date and time before each line. Default: HH:MM:SS on a terminal, otherwise"
            " nothing.",
        ),
    ] = None

    timezone: Annotated[
        str | None,
        Parameter(
            help="The time zone, by IANA name such as Europe/Berlin. Default: the local one on a terminal,"
            " otherwise UTC."
        ),
    ] = None

    output: Annotated[
        Literal["text", "json", "raw", "template"],
        Parameter(
            name=("--output", "-o"),
            help="text (the default): safe on a terminal and in a CI job; json: one object per line with"
            f" {_JSON_KEYS}; raw: the messages byte for byte, including commands that a CI job executes;"
            " template: by --template.",
        ),
    ] = "text"

    template: TemplateText = None

    def __post_init__(self) -> None:
        if self.template is not None and self.output == "text":
            object.__setattr__(self, "output", "template")

    @property
    def names_worker(self) -> bool:
        """Whether the output has the name of the Worker with each line, whatever the lines are of."""
        return self.output in {"json", "template"}


_EXEC = Group("A command for each finished build", sort_key=6)


@Parameter(name="*", group=_EXEC)
@dataclass(frozen=True, kw_only=True)
class ExecOptions:
    """The command to run for each finished build."""

    command: Annotated[
        str | None,
        Parameter(
            name="--exec",
            help="Run this command, without a shell, for each build that has ended. BUILDS_ASYNC_BUILD,"
            " _WORKER, _OUTCOME, _REASON, _BRANCH, _COMMIT, _MESSAGE, _AUTHOR, _DURATION (seconds) and _URL"
            " in its environment describe the build, and its JSON is on standard input. Its output goes to"
            " standard error. A failure is reported and ends nothing.",
        ),
    ] = None

    jobs: Annotated[
        int,
        Parameter(
            name="--exec-jobs", help="Run at most N commands at once. Default: 4.", validator=Number(gte=1)
        ),
    ] = 4

    timeout: Annotated[
        str,
        Parameter(
            name="--exec-timeout", help="Stop a command after this time, such as 30 or 1h. Default: 10m."
        ),
    ] = "10m"


# Shared defaults, so that signatures contain no calls.
CONNECTION: Final = Connection()
LINE_OPTIONS: Final = LineOptions()
EXEC_OPTIONS: Final = ExecOptions()
