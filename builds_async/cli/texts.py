"""What the help says of each command: how it is called, and what it does, without importing it."""

from typing import Final

EXIT_CODES: Final = (
    "Exit codes: 0 success; 1 the build failed, was cancelled, terminated or skipped (the last line on"
    " standard error says which); 2 wrong usage, or no such Worker, build or setting; 3 no access: the token"
    " or its permissions; 4 network, rate limit, or an error of the service; 124 the --timeout has passed;"
    " 130 Ctrl-C; 141 nobody reads the output; 143 SIGTERM."
)

_JSON = "JSON: the build with the API's field names."

COMMANDS: Final = {
    "tail": (
        "WORKER... | BUILD_UUID",
        "Follow the logs of Workers, or of one build until it has finished.",
        (
            "For Workers: all builds that run now and all that begin later, merged and without end, each line"
            " with the name of its Worker and the first digits of its build. For a build: its whole log;"
            " the exit code and the last line on standard error tell how it ended, and why."
        ),
    ),
    "logs": (
        "BUILD_UUID",
        "Print what is there of a build's log, and end.",
        "The exit code is 0 however the build ended; `tail` follows a build and ends as it did.",
    ),
    "status": (
        "[WORKER...]",
        "Show the latest build of Workers, of all in the account if none is named.",
        (
            "The exit code is 0 however they ended. JSON: external_script_id, worker, build (as"
            " the API has it, null if there is none), and error for a Worker that could not be asked for."
        ),
    ),
    "list": ("WORKER", "List the builds of a Worker, newest first.", _JSON),
    "show": (
        "BUILD_UUID",
        "Show all that is known of a build, and why it failed if it did.",
        f"The exit code is 0 however the build ended. {_JSON}",
    ),
    "wait": (
        "BUILD_UUID | WORKER --commit SHA",
        "Wait until a build has finished; the exit code tells how it ended.",
        (
            "With a Worker and a commit, the build need not exist yet. Its log is read only if it failed."
            f" {_JSON}"
        ),
    ),
    "start": (
        "WORKER [--branch NAME] [--commit SHA]",
        "Start a build of a branch or of a commit.",
        (
            "Prints the UUID of the build. With --wait or --follow the exit code tells how it ended. JSON:"
            " the build with the API's field names as it was started, with --wait also as it ended; with"
            " --follow the lines of its log, as of `tail`."
        ),
    ),
    "cancel": (
        "BUILD_UUID",
        "Cancel a build.",
        "The exit code is 1 if the build had already ended otherwise.",
    ),
    "doctor": (
        "",
        "Find out whether account, token and permissions are right, and what to do if not.",
        (
            "The exit code is 0 if builds can be read, 1 if no build minutes are left. JSON: check, state"
            " (ok, problem, unknown), message, advice, status (of HTTP, if a call was refused)."
        ),
    ),
    "events": (
        "QUEUE_ID",
        "Print the build events of a Cloudflare Queue as they come, without end.",
        (
            "Each is acknowledged after it was printed; else it comes again. The queue needs"
            " an event subscription to Workers Builds and an HTTP pull consumer. JSON: the event with the"
            " field names of the API's builds."
        ),
    ),
    "simulate": (
        "",
        "Serve a simulated Workers Builds until Ctrl-C.",
        "Prints the variables that point this command and the library at it: eval them in another shell.",
    ),
    "demo": ("", "Follow a real build's log live, then look up many Workers: no account, no network.", ""),
    "completion": (
        "bash | zsh | fish",
        "Print the script that completes commands and options in a shell.",
        (
            'For example in ~/.bashrc: eval "$(builds-async completion bash)"; for fish:'
            " builds-async completion fish > ~/.config/fish/completions/builds-async.fish"
        ),
    ),
}
"""By name: the arguments, what the list of commands says, and what the command's own help says more."""


def help_of(name: str) -> str:
    """The whole text of a command's help."""
    _, short, more = COMMANDS[name]
    return f"{short}\n\n{more}" if more else short


def usage_of(name: str) -> str:
    """How a command is called."""
    return " ".join(f"Usage: builds-async {name} {COMMANDS[name][0]} [OPTIONS]".split())
