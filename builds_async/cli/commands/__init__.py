"""The commands: a file each, imported when the command is run, and their help, which needs no import."""

from typing import Final, NamedTuple


class CommandHelp(NamedTuple):
    """The help of one command."""

    arguments: str
    summary: str
    """One sentence, also for the list of commands."""
    details: str = ""

    @property
    def text(self) -> str:
        """Everything that the command's own help says."""
        return f"{self.summary}\n\n{self.details}" if self.details else self.summary

    def usage(self, name: str) -> str:
        """How to call the command."""
        return " ".join(f"Usage: builds-async {name} {self.arguments} [OPTIONS]".split())


_JSON_BUILD = "JSON: the build, with the API's field names."

COMMANDS: Final = {
    "tail": CommandHelp(
        "WORKER... | BUILD_UUID",
        "Follow the logs of Workers, or of one build until it has finished.",
        "For Workers: all builds that run now or begin later, merged, until Ctrl-C; each line begins with the"
        " name of its Worker and the first digits of its build. For a build: its whole log; the exit code and"
        " the last line on standard error say how it ended, and why.",
    ),
    "logs": CommandHelp(
        "BUILD_UUID",
        "Print the log of a build as it is now.",
        "The exit code is 0 whatever the outcome. To follow a running build, use `tail`.",
    ),
    "status": CommandHelp(
        "[WORKER...]",
        "Show the latest build of Workers, or of all Workers of the account.",
        "The exit code is 0 whatever the outcomes. JSON: external_script_id, worker, build (as the API has"
        " it, null if there is none), and error for a Worker whose look-up failed.",
    ),
    "live": CommandHelp(
        "[WORKER...] [--commit SHA]",
        "Show what Workers serve now, and which build made it.",
        "A gradual deployment has a row for each version. With --commit, the exit code is 0 if each of the"
        " given Workers serves that commit, or without names any Worker, and 1 if not. JSON: worker,"
        " deployment (null if there never was one), versions (version_id, percentage, build, and without one"
        " the reason), and error for a Worker whose look-up failed.",
    ),
    "list": CommandHelp("WORKER", "List the builds of a Worker, newest first.", _JSON_BUILD),
    "show": CommandHelp(
        "BUILD_UUID",
        "Show everything about a build, and why it failed if it did.",
        f"The exit code is 0 whatever the outcome. {_JSON_BUILD}",
    ),
    "wait": CommandHelp(
        "BUILD_UUID | WORKER --commit SHA",
        "Wait until a build has finished; the exit code says how it ended.",
        "With a Worker and a commit, the build need not exist yet. The log is read only if the build failed."
        f" {_JSON_BUILD}",
    ),
    "start": CommandHelp(
        "WORKER [--branch NAME] [--commit SHA]",
        "Start a build of a branch or a commit.",
        "Prints the UUID of the build. With --wait or --follow, the exit code says how it ended. JSON: the"
        " build as it was started, and with --wait as it ended, with the API's field names; with --follow the"
        " lines of its log, as `tail` prints them.",
    ),
    "cancel": CommandHelp(
        "BUILD_UUID", "Cancel a build.", "The exit code is 1 if it had ended before, and not as cancelled."
    ),
    "doctor": CommandHelp(
        "",
        "Check account, token and permissions, and say what to do about problems.",
        "The exit code is 0 if builds can be read, 1 if no build minutes are left. JSON: check, state (ok,"
        " problem, unknown), message, advice, status (the HTTP status of a refused request).",
    ),
    "events": CommandHelp(
        "QUEUE_ID",
        "Print the build events of a Cloudflare Queue as they arrive, until Ctrl-C.",
        "An event is acknowledged after it was printed; otherwise the queue delivers it again. The queue"
        " needs an event subscription to Workers Builds and an HTTP pull consumer. JSON: the event, with the"
        " field names of the API's builds.",
    ),
    "simulate": CommandHelp(
        "",
        "Serve a simulated Workers Builds until Ctrl-C.",
        "Prints the environment variables that point this command and the library at it: eval them in another"
        " shell.",
    ),
    "demo": CommandHelp("", "Follow a real build live, then look up many Workers: no account, no network."),
    "completion": CommandHelp(
        "bash | zsh | fish",
        "Print the script that completes commands and options in a shell.",
        'For example in ~/.bashrc: eval "$(builds-async completion bash)"; for fish:'
        " builds-async completion fish > ~/.config/fish/completions/builds-async.fish",
    ),
}
"""The commands in the order of the help. The command NAME is `NAME_command` in NAME.py of this folder."""

EXIT_CODES: Final = (
    "Exit codes: 0 success; 1 the build failed, was cancelled, terminated or skipped (the last line on"
    " standard error says which); 2 usage error, or no such Worker, build or setting; 3 access denied: check"
    " the token and its permissions; 4 network, rate limit or service error; 124 --timeout expired; 130"
    " Ctrl-C; 141 nobody reads the output; 143 SIGTERM."
)
