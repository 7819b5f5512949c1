"""A build and its parts: https://developers.cloudflare.com/api/resources/workers_builds/."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from builds_async.models.base import Id, Model, Moment, OpenStrEnum
from builds_async.models.logs import LogLine
from builds_async.models.reason import failure_reason


class BuildStatus(OpenStrEnum):
    """The stage that a build has reached. Success or failure is its `BuildOutcome`."""

    QUEUED = "queued"
    """Waiting for a free slot among the account's concurrent builds, which can take hours."""
    INITIALIZING = "initializing"
    """The build environment is being prepared."""
    RUNNING = "running"
    """The build is running: clone, install, build, deploy."""
    STOPPED = "stopped"
    """The build has ended. Its outcome may follow a moment later."""
    if TYPE_CHECKING:
        _UNLISTED = "any other word"


class BuildOutcome(OpenStrEnum):
    """How a stopped build ended, in the REST API's terms."""

    SUCCESS = "success"
    """All commands succeeded. This proves no deployment: see `deployed` of `client.wait_for_commit`."""
    FAIL = "fail"
    """A command or the service failed; `Build.failure_reason` finds the log line that explains it."""
    SKIPPED = "skipped"
    """Not built. The cause is undocumented: probably the watch paths or the commit message."""
    CANCELLED = "cancelled"
    """Canceled, in the dashboard or through the API."""
    TERMINATED = "terminated"
    """Ended by the service. The cause is undocumented: probably the time limit for builds."""
    if TYPE_CHECKING:
        _UNLISTED = "any other word"


class BuildTriggerSource(OpenStrEnum):
    """The cause of a build. The values in the schema and in the live API differ."""

    PUSH = "push"
    """A push, as in the schema; the live API was seen to use `push_event`."""
    PUSH_EVENT = "push_event"
    """A push, as seen live; the schema does not list it."""
    PULL_REQUEST = "pull_request"
    """A pull request, as in the schema."""
    MANUAL = "manual"
    """Started manually. Builds started through the API were seen with this value too."""
    API = "api"
    """Started through the API, as in the schema."""
    DEPLOY_HOOK = "deploy_hook"
    """Started by a deploy hook. Documented, but missing from the schema."""
    if TYPE_CHECKING:
        _UNLISTED = "any other word"


class ProviderType(OpenStrEnum):
    """The host of a Git repository."""

    GITHUB = "github"
    """GitHub."""
    GITLAB = "gitlab"
    """GitLab."""
    GITLAB_INTERNAL = "gitlab_internal"
    """An internal GitLab integration, connected by a `grant_id`; otherwise undocumented."""
    ORIGIN = "origin"
    """A host that is connected by a `grant_id`; otherwise undocumented."""
    if TYPE_CHECKING:
        _UNLISTED = "any other word"


class EnvironmentVariable(Model, frozen=True, kw_only=True):
    """An environment variable of builds, as the API returns it."""

    _shown: ClassVar[tuple[str, ...]] = ("is_secret",)

    is_secret: bool | None = None
    """Whether only the build can read the value."""
    created_on: Moment | None = None
    """When the variable was created."""
    value: str | None = None
    """The value; None for a secret, which the API never returns."""


class BuildTriggerMetadata(Model, frozen=True, kw_only=True):
    """The commit and settings of a build: a snapshot from its start, unlike its trigger."""

    _shown: ClassVar[tuple[str, ...]] = ("build_trigger_source", "branch", "commit_hash", "repo_name")

    build_trigger_source: BuildTriggerSource | None = None
    """What started the build."""
    branch: str | None = None
    """The Git branch that was built."""
    commit_hash: str | None = None
    """The commit hash, in full or shortened; `""` for a build that was started without a commit."""
    commit_message: str | None = None
    """The commit message; `""` for a build that was started without a commit."""
    author: str | None = None
    """The author of the commit, as a login or an email address; `""` for a build without a commit."""
    build_command: str | None = None
    """The build command; `""` for a build that has only a deploy command."""
    deploy_command: str | None = None
    """The deploy command."""
    root_directory: str | None = None
    """The directory of the repository in which the commands run."""
    build_token_uuid: str | None = None
    """The id of the build token that the build deploys with."""
    build_token_name: str | None = None
    """The display name of that build token."""
    environment_variables: dict[str, EnvironmentVariable | str | None] | None = None
    """The variables of the build by name; the API uses objects or plain values."""
    repo_name: str | None = None
    """The name of the repository."""
    provider_account_name: str | None = None
    """The user, organization or group that owns the repository."""
    provider_type: ProviderType | None = None
    """The host of the repository."""


class RepoConnection(Model, frozen=True, kw_only=True):
    """A Git repository that is connected to the account."""

    _shown: ClassVar[tuple[str, ...]] = (
        "repo_connection_uuid",
        "provider_type",
        "provider_account_name",
        "repo_name",
    )

    repo_connection_uuid: str | None = None
    """The id of the connection in Workers Builds."""
    repo_id: str | None = None
    """The Git host's id of the repository, as a string: a number on GitHub."""
    repo_name: str | None = None
    """The name of the repository."""
    provider_type: ProviderType | None = None
    """The Git host."""
    provider_account_id: str | None = None
    """The Git host's id of the owner, as a string: a number on GitHub."""
    provider_account_name: str | None = None
    """The user, organization or group that owns the repository."""
    grant_id: str | None = None
    """The grant behind a `gitlab_internal` or `origin` connection; None for other hosts."""
    created_on: Moment | None = None
    """When the repository was connected."""
    modified_on: Moment | None = None
    """When the connection was last changed or confirmed."""
    deleted_on: Moment | None = None
    """When the connection was deleted; None while it exists."""


class Trigger(Model, frozen=True, kw_only=True):
    """A rule that starts the builds of a Worker. Inside a `Build` it lacks its build token."""

    _shown: ClassVar[tuple[str, ...]] = ("trigger_uuid", "trigger_name", "branch_includes", "branch_excludes")

    trigger_uuid: str | None = None
    """The id of the trigger."""
    external_script_id: str | None = None
    """The tag of the Worker, 32 hex digits; not its name."""
    trigger_name: str | None = None
    """The display name."""
    build_command: str | None = None
    """The command that builds the Worker; None or empty if there is nothing to build."""
    deploy_command: str | None = None
    """The command that deploys the Worker or uploads a version of it."""
    root_directory: str | None = None
    """The directory of the repository in which the commands run."""
    branch_includes: tuple[str, ...] | None = None
    """The branches that start builds: full names, or `*` for all."""
    branch_excludes: tuple[str, ...] | None = None
    """The branches that start no builds: full names. The API refuses `*` here."""
    path_includes: tuple[str, ...] | None = None
    """Patterns of paths: a push that changes one of these starts a build. `*` stands for all."""
    path_excludes: tuple[str, ...] | None = None
    """Patterns of paths: changes to these start no build."""
    build_caching_enabled: bool | None = None
    """Whether builds reuse cached dependencies and build output."""
    build_token_uuid: str | None = None
    """The id of the build token that builds deploy with; None inside a `Build`."""
    build_token_name: str | None = None
    """The display name of that build token; None inside a `Build`."""
    repo_connection: RepoConnection | None = None
    """The repository that is built."""
    created_on: Moment | None = None
    """When the trigger was created."""
    modified_on: Moment | None = None
    """When the trigger was last changed."""
    deleted_on: Moment | None = None
    """When the trigger was deleted; None while it exists."""


class PullRequest(Model, frozen=True, kw_only=True):
    """The pull request of a build. The API does not return its number."""

    pull_request_url: str | None = None
    """The address of the pull request at the Git host."""
    created_on: Moment | None = None
    """When the pull request was created."""
    closed_on: Moment | None = None
    """When the pull request was closed; None while it is open."""


class BuildDeployHook(Model, frozen=True, kw_only=True):
    """The deploy hook that started a build."""

    deploy_hook_name: str | None = None
    """The display name of the hook."""


class Build(Model, frozen=True, kw_only=True):
    """One build of one Worker."""

    _shown: ClassVar[tuple[str, ...]] = ("build_uuid", "status", "build_outcome", "branch", "commit_hash")

    build_uuid: Id
    """The id of the build."""
    status: BuildStatus | None = None
    """The stage that the build has reached."""
    build_outcome: BuildOutcome | None = None
    """How the build ended; None until it has stopped, and possibly for a moment after that."""
    created_on: Moment | None = None
    """When the build was created and queued."""
    modified_on: Moment | None = None
    """When the record of the build last changed."""
    initializing_on: Moment | None = None
    """When the build left the queue; None before that."""
    running_on: Moment | None = None
    """When the build began to run; None before that."""
    stopped_on: Moment | None = None
    """When the build stopped; None before that."""
    preview_url: str | None = None
    """The URL of the deployed version; only from `client.builds.get`, once there is a preview."""
    pull_request: PullRequest | None = None
    """The pull request of the build; None if there is none."""
    deploy_hook: BuildDeployHook | None = None
    """The deploy hook that started the build; None for other causes."""
    trigger: Trigger | None = None
    """The trigger that started the build, without its build token."""
    build_trigger_metadata: BuildTriggerMetadata | None = None
    """The commit and settings of the build, from its start."""

    @property
    def branch(self) -> str | None:
        """The Git branch that is built; None if the API does not say."""
        return (self.build_trigger_metadata and self.build_trigger_metadata.branch) or None

    @property
    def commit_hash(self) -> str | None:
        """The commit that is built; None if the build was started without one, or if the API does not say.

        It is a full or a shortened hash, as the API returns it: compare with `startswith` in both directions.
        """
        return (self.build_trigger_metadata and self.build_trigger_metadata.commit_hash) or None

    @property
    def queued_for(self) -> float | None:
        """How many seconds the build was in the queue: until it was initialized, or else until it stopped.

        None while it is queued, or if a date is missing or absurd.
        """
        return _seconds(self.created_on, self.initializing_on or self.running_on or self.stopped_on)

    @property
    def duration(self) -> float | None:
        """How many seconds the build took from its initialization to its end, without its time in the queue.

        None while it runs, if it stopped in the queue, or if a date is missing or absurd.
        """
        return _seconds(self.initializing_on or self.running_on, self.stopped_on)

    @property
    def is_stopped(self) -> bool:
        """True when the build has stopped, with any outcome or none yet.

        That is the case if its status is `stopped`, or if it has both an outcome and `stopped_on`.
        """
        return self.status == BuildStatus.STOPPED or (
            bool(self.build_outcome) and self.stopped_on is not None
        )

    @property
    def succeeded(self) -> bool:
        """True when the build has stopped with the outcome `success`."""
        return self.is_stopped and self.build_outcome == BuildOutcome.SUCCESS

    @property
    def failed(self) -> bool:
        """True when the build has finished with the outcome `fail`, `terminated`, or one that is not listed.

        A build that was canceled or skipped has neither failed nor `succeeded`.
        """
        return self.is_finished and self.build_outcome not in _HARMLESS

    @property
    def is_finished(self) -> bool:
        """True when the build has stopped and its outcome is known, so nothing about it will change."""
        return self.is_stopped and bool(self.build_outcome)

    @property
    def state(self) -> str:
        """The outcome, such as `success`; while there is none, the status; `unknown` without either."""
        return str(self.build_outcome or self.status or "unknown")

    def failure_reason(self, lines: Iterable[LogLine]) -> str | None:
        """Why this build did not succeed, in one line of at most 300 characters, from the lines of its log.

        None for a build that succeeded or has not stopped. For a failed build it is the most telling line of
        the log: a specific error of the service, else the first error, else the last line. For any other
        outcome, or without lines, it is the outcome itself. It is a guess from free text: show it, but don't
        act on it.
        """
        if not self.is_stopped or self.succeeded:
            return None
        reason = (
            failure_reason(line.message for line in lines)
            if self.build_outcome == BuildOutcome.FAIL
            else None
        )
        return reason or str(self.build_outcome or BuildStatus.STOPPED)


_HARMLESS = frozenset({BuildOutcome.SUCCESS, BuildOutcome.SKIPPED, BuildOutcome.CANCELLED})

LONG_AGO = datetime.min.replace(tzinfo=UTC)
"""A date before any build."""

_PLAUSIBLE_YEARS = range(2000, 2200)


def usable_date(date: datetime | None) -> datetime | None:
    """A date for ordering builds; None if it is missing or absurd.

    A build from the year 9999 would always be the newest, and one from the year 1 would never be. A date
    without a time zone is read as UTC.
    """
    if date is None or date.year not in _PLAUSIBLE_YEARS:
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    """The seconds between two dates; None if one is missing or absurd, or if they are in the wrong order."""
    start, end = usable_date(start), usable_date(end)
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


def created(build: Build) -> datetime:
    """The creation date of a build; `LONG_AGO` if it is unknown or absurd."""
    return usable_date(build.created_on) or LONG_AGO


def in_order(newest_first: Iterable[Build]) -> tuple[Build, ...]:
    """The builds of a list, sorted by date, oldest first.

    Builds of the same moment keep the order of the list. If any build lacks a usable date, nothing is sorted,
    and the order of the list counts for all.
    """
    builds = tuple(newest_first)[::-1]  # the sort is stable, so builds of the same moment keep their order
    if any(usable_date(build.created_on) is None for build in builds):
        return builds
    return tuple(sorted(builds, key=created))


class BuildMap(Model, frozen=True, kw_only=True):
    """The result of the two bulk lookups: builds by the requested id."""

    # An unreadable map must not pass for an empty one, which would mean that no Worker was ever built.
    _essential: ClassVar[frozenset[str]] = frozenset({"builds"})

    builds: dict[str, Build | None] | None = None
    """The builds by tag or version id. An id without a build has no entry, or possibly None."""


class CanceledBuild(Model, frozen=True, kw_only=True):
    """The result of canceling: the outcome and the end of the build, but not its status."""

    build_uuid: str | None = None
    """The id of the build."""
    build_outcome: BuildOutcome | None = None
    """How the build ended."""
    stopped_on: Moment | None = None
    """When the build stopped."""
