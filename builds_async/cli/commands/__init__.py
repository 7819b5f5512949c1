"""Lists the commands and their help. Each command is in a file of its own, imported when it is run."""

from typing import Final, NamedTuple


class CommandHelp(NamedTuple):
    """The help of one command."""

    arguments: str
    summary: str
    """One sentence, also for the list of commands."""
    details: str = ""
    examples: tuple[str, ...] = ()
    """One or two command lines, without the name of the program."""

    @property
    def epilogue(self) -> str:
        """The text below the options."""
        lines = [f"  builds-async {line}" for line in self.examples]
        return "\n\n".join(("Examples:", *lines, "`builds-async --help` lists the exit codes."))

    @property
    def text(self) -> str:
        """The full help of the command."""
        return f"{self.summary}\n\n{self.details}" if self.details else self.summary

    def usage(self, name: str) -> str:
        """The usage line of the command."""
        return " ".join(f"Usage: builds-async {name} {self.arguments} [OPTIONS]".split())


_JSON_BUILD = "JSON: the build, with the API's field names."
_STARTED = (
    "Prints the UUID of the build. With --wait or --follow, the exit code shows the outcome. JSON: the"
    " started build, and with --wait also the finished build, with the API's field names and dashboard_url;"
    " with --follow, the lines of its log, as `tail` prints them."
)

COMMANDS: Final = {
    "tail": CommandHelp(
        "[WORKER...] | BUILD",
        "Follow the logs of Workers, or of one build until it has finished.",
        "For Workers: all running and future builds, merged, until Ctrl-C. Each line begins with the name of"
        " its Worker and the first digits of its build. Standard error shows when a build begins and how it"
        " ends. For a build: its whole log. The exit code and the last line on standard error show the"
        " outcome, and the line before shows the reason for a failure. --exec runs a command for each build"
        " that ends.",
        examples=("tail shop blog --since 10m --resume position", "tail 8b2c1f0e", "tail --exec ./notify"),
    ),
    "logs": CommandHelp(
        "BUILD | WORKER",
        "Print the current log of a build.",
        "The exit code is 0 whatever the outcome. With --follow, it goes on until the build has finished, and"
        " the exit code shows the outcome, as with `tail BUILD`.",
        examples=("logs shop -n 50", "logs -f 8b2c1f0e"),
    ),
    "status": CommandHelp(
        "[WORKER...]",
        "Show the latest build of Workers, or of all Workers of the account.",
        "Failures come first, then running and queued builds, then the rest by name; a terminal also gets a"
        " summary. Filters choose Workers by their latest build; one whose lookup failed is always shown."
        " The exit code is 0 whatever the outcomes, even if no Worker matches. JSON, in the order of the"
        " command line or by name: external_script_id, worker, build (as the API has it, null if there is"
        " none), error for a Worker whose lookup failed, and with --live also live (is_live, percentage,"
        " reason, deployment, versions).",
        examples=("status --failed --branch main", "status 'shop-*' --watch"),
    ),
    "live": CommandHelp(
        "[WORKER...] [--commit SHA]",
        "Show the versions that Workers serve now, and the builds that made them.",
        "A gradual deployment has a row for each version. With --commit, the exit code is 0 if each of the"
        " given Workers serves that commit, and 1 if not; without names, it is 0 if any Worker serves it."
        " JSON: worker, deployment (null if there never was one), versions (version_id, percentage, build,"
        " and the reason if there is no build), and error for a Worker whose lookup failed.",
        examples=("live shop --commit 0123abcd",),
    ),
    "list": CommandHelp(
        "WORKER",
        "List the builds of a Worker, newest first.",
        "The API has no filters: with one, at most the latest 1,000 builds are read, 50 per request. The exit"
        f" code is 0, even if no build matches. {_JSON_BUILD}",
        examples=("list shop --limit 5", "list shop --failed --branch 'release/*'"),
    ),
    "show": CommandHelp(
        "BUILD | WORKER",
        "Show everything about a build: its steps, the reason for a failure, and where to see it.",
        "A build that runs has its steps so far. The preview URL is derived from the uploaded version if the"
        " API gives none. The exit code is 0 whatever the outcome."
        f" {_JSON_BUILD} Added: worker, reason, steps, dashboard_url.",
        examples=("show shop", "show 8b2c1f0e"),
    ),
    "wait": CommandHelp(
        "BUILD | WORKER [--commit SHA]",
        "Wait until a build has finished; the exit code shows the outcome.",
        "With a Worker and a commit, the build need not exist yet. A Worker alone stands for its latest"
        " build. The log is read only if the build failed."
        " With --deployed, a successful build also has to serve traffic. If another version serves, the exit"
        f" code is 1, and standard error shows which one, and since when. {_JSON_BUILD} Added: worker,"
        " reason, steps, dashboard_url.",
        examples=("wait shop --commit 0123abcd --timeout 20m",),
    ),
    "start": CommandHelp(
        "WORKER [--branch NAME] [--commit SHA]",
        "Start a build of a branch or a commit.",
        _STARTED,
        examples=("start shop --branch main --follow",),
    ),
    "retry": CommandHelp(
        "BUILD | WORKER",
        "Build the commit of a build again.",
        "Starts the trigger, branch and commit of the build again, as a new build; a Worker stands for its"
        " latest build. A build that was started without a commit builds its branch as it is now, and"
        f" commands and variables are the present ones of the trigger. {_STARTED}",
        examples=("retry 8b2c1f0e", "retry shop --follow"),
    ),
    "cancel": CommandHelp(
        "BUILD | WORKER",
        "Cancel a build.",
        "The exit code is 1 if the build had already ended with an outcome other than `cancelled`.",
        examples=("cancel shop",),
    ),
    "open": CommandHelp(
        "BUILD | WORKER",
        "Open the page of a build, or its preview, in the browser.",
        "Prints the address, and opens it in the browser: the build's page in Cloudflare's dashboard, or with"
        " --preview what it has deployed. Only prints it in a CI job, without a display, and over SSH,"
        " unless BROWSER is set. The exit code is 0 once the address is printed.",
        examples=("open shop", "open 8b2c1f0e --preview"),
    ),
    "doctor": CommandHelp(
        "[--repair-build-token [WORKER] | --probe [BUILD_UUID]]",
        "Check the account, the token and its permissions, and give advice on problems.",
        "With --shared, also check the engine of the shared rate budget."
        " The exit code is 0 if builds can be read, 1 if no build minutes are left. JSON: check, state (ok,"
        " problem, unknown), message, advice, status (the HTTP status of a refused request).\n\n"
        "With --repair-build-token: find triggers with a dead build token, and show the calls that repair"
        " them. The calls are made only with --yes. The exit code is 0 if nothing is broken any more. JSON:"
        " the plan (broken, replacement, is_proven, calls, problem), and with --yes also done, left and"
        " error.\n\n"
        "With --probe: compare the API with the assumptions of this package, with at most 30 read requests."
        " The exit code is 0 whatever the answers, and 4 if the probe was not completed."
        " JSON: question, state (holds, differs, seen, unknown), assumption, answer, reason.",
        examples=("doctor",),
    ),
    "events": CommandHelp(
        "QUEUE_ID",
        "Print the build events of a Cloudflare Queue as they arrive, until Ctrl-C.",
        "An event is acknowledged after it was printed, and with --exec, which runs one command at a time,"
        " after its command has ended; otherwise the queue redelivers it. The queue"
        " needs an event subscription to Workers Builds and an HTTP pull consumer. JSON: the event, with the"
        " field names of the API's builds.",
        examples=("events 0123456789abcdef0123456789abcdef -o json",),
    ),
    "dashboard": CommandHelp(
        "[WORKER...]",
        "Serve a page with the builds of all Workers and their live logs, until Ctrl-C.",
        "Only this machine can open the page, unless you pass --host and --token. The page can retry and"
        " cancel builds, each after a confirmation, unless you pass --no-writes.",
    ),
    "simulate": CommandHelp(
        "",
        "Serve a simulated Workers Builds until Ctrl-C.",
        "Prints environment variables that connect this command and the library to it. Evaluate them in"
        " another shell.",
        examples=("simulate --workers 20 --faults rate_limited:3",),
    ),
    "demo": CommandHelp("", "Follow real builds live, then look up many Workers: no account, no network."),
    "completion": CommandHelp(
        "bash | zsh | fish",
        "Print the script for a shell that completes commands, options and names of Workers.",
        'In ~/.bashrc: eval "$(builds-async completion bash)"; in ~/.zshrc: eval "$(builds-async completion'
        ' zsh)"; for fish:'
        " builds-async completion fish > ~/.config/fish/completions/builds-async.fish",
    ),
}
"""The commands in the order of the help. Command NAME is the function `NAME_command` in NAME.py."""

EXIT_CODES: Final = (
    "Exit codes: 0 success; 1 the build failed, was canceled, terminated or skipped (the last line on"
    " standard error shows the outcome), or is not live with --deployed or --commit; 2 usage error, or no"
    " such Worker, build or setting; 3 access denied:"
    " check the token and its permissions; 4 network, rate limit or service error; 124 --timeout expired;"
    " 129 SIGHUP; 130 Ctrl-C; 141 the reader of the output is gone; 143 SIGTERM."
)
