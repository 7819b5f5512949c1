"""A build and what hangs on it: https://developers.cloudflare.com/api/resources/workers_builds/."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import ClassVar

from builds_async.models.base import Id, Model, Moment, OpenStrEnum
from builds_async.models.logs import LogLine
from builds_async.models.reason import failure_reason


class BuildStatus(OpenStrEnum):
    """Where a build is on its way. `stopped` says nothing about success: see `BuildOutcome`."""

    QUEUED = "queued"
    INITIALIZING = "initializing"
    RUNNING = "running"
    STOPPED = "stopped"


class BuildOutcome(OpenStrEnum):
    """How a stopped build ended. The REST API says `fail` and `cancelled`."""

    SUCCESS = "success"
    FAIL = "fail"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"


class BuildTriggerSource(OpenStrEnum):
    """What started a build. The schema lists `push`; the live API has been seen to say `push_event`."""

    PUSH = "push"
    PUSH_EVENT = "push_event"
    PULL_REQUEST = "pull_request"
    MANUAL = "manual"
    API = "api"
    DEPLOY_HOOK = "deploy_hook"


class ProviderType(OpenStrEnum):
    """The host of a Git repository."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITLAB_INTERNAL = "gitlab_internal"
    ORIGIN = "origin"


class EnvironmentVariable(Model, frozen=True, kw_only=True):
    """A build variable; `value` is None for a secret, which the API never gives back."""

    is_secret: bool | None = None
    created_on: Moment | None = None
    value: str | None = None


class BuildTriggerMetadata(Model, frozen=True, kw_only=True):
    """The settings and the commit that a build was started with: a snapshot, not the trigger of today.

    `commit_hash`, `commit_message` and `author` are `""` for a build that was started without a commit.
    A value of `environment_variables` is an object or a plain string, depending on the API's version.
    """

    build_trigger_source: BuildTriggerSource | None = None
    branch: str | None = None
    commit_hash: str | None = None
    commit_message: str | None = None
    author: str | None = None
    build_command: str | None = None
    deploy_command: str | None = None
    root_directory: str | None = None
    build_token_uuid: str | None = None
    build_token_name: str | None = None
    environment_variables: dict[str, EnvironmentVariable | str | None] | None = None
    repo_name: str | None = None
    provider_account_name: str | None = None
    provider_type: ProviderType | None = None


class RepoConnection(Model, frozen=True, kw_only=True):
    """A connected Git repository. `repo_id` and `provider_account_id` are the provider's ids, as strings."""

    repo_connection_uuid: str | None = None
    repo_id: str | None = None
    repo_name: str | None = None
    provider_type: ProviderType | None = None
    provider_account_id: str | None = None
    provider_account_name: str | None = None
    grant_id: str | None = None
    created_on: Moment | None = None
    modified_on: Moment | None = None
    deleted_on: Moment | None = None


class Trigger(Model, frozen=True, kw_only=True):
    """A rule that starts builds. Inside a `Build` it comes without its build token.

    `external_script_id` is the tag of the Worker, not its name.
    """

    trigger_uuid: str | None = None
    external_script_id: str | None = None
    trigger_name: str | None = None
    build_command: str | None = None
    deploy_command: str | None = None
    root_directory: str | None = None
    branch_includes: tuple[str, ...] | None = None
    branch_excludes: tuple[str, ...] | None = None
    path_includes: tuple[str, ...] | None = None
    path_excludes: tuple[str, ...] | None = None
    build_caching_enabled: bool | None = None
    build_token_uuid: str | None = None
    build_token_name: str | None = None
    repo_connection: RepoConnection | None = None
    created_on: Moment | None = None
    modified_on: Moment | None = None
    deleted_on: Moment | None = None


class PullRequest(Model, frozen=True, kw_only=True):
    """The pull request that a build belongs to."""

    pull_request_url: str | None = None
    created_on: Moment | None = None
    closed_on: Moment | None = None


class BuildDeployHook(Model, frozen=True, kw_only=True):
    """The deploy hook that started a build."""

    deploy_hook_name: str | None = None


class Build(Model, frozen=True, kw_only=True):
    """One build of one Worker.

    `build_outcome` is None until the build has stopped, and for a moment after. `preview_url` comes only
    from `client.builds.get`, once the build has produced a preview.
    """

    build_uuid: Id
    status: BuildStatus | None = None
    build_outcome: BuildOutcome | None = None
    created_on: Moment | None = None
    modified_on: Moment | None = None
    initializing_on: Moment | None = None
    running_on: Moment | None = None
    stopped_on: Moment | None = None
    preview_url: str | None = None
    pull_request: PullRequest | None = None
    deploy_hook: BuildDeployHook | None = None
    trigger: Trigger | None = None
    build_trigger_metadata: BuildTriggerMetadata | None = None

    @property
    def is_stopped(self) -> bool:
        """True when the build runs no more, however it ended.

        That is when its status says so, or when it has both an outcome and `stopped_on`, whatever word its
        status is.
        """
        return self.status == BuildStatus.STOPPED or (
            bool(self.build_outcome) and self.stopped_on is not None
        )

    @property
    def succeeded(self) -> bool:
        """True when the build has stopped with the outcome `success`."""
        return self.is_stopped and self.build_outcome == BuildOutcome.SUCCESS

    @property
    def is_finished(self) -> bool:
        """True when the build has stopped and its outcome is known: nothing of it will change."""
        return self.is_stopped and bool(self.build_outcome)

    def failure_reason(self, lines: Iterable[LogLine]) -> str | None:
        """Why this build did not succeed, in one line of at most 300 characters, from the lines of its log.

        None for a build that succeeded or has not stopped. For one that failed, the line of the log that
        tells best: the service's particular verdict, the first error, or the last line. For other outcomes,
        or without lines, the outcome itself. A guess at free text: show it, do not act upon it.
        """
        if not self.is_stopped or self.succeeded:
            return None
        told = (
            failure_reason(line.message for line in lines)
            if self.build_outcome == BuildOutcome.FAIL
            else None
        )
        return told or str(self.build_outcome or BuildStatus.STOPPED)


LONG_AGO = datetime.min.replace(tzinfo=UTC)
"""Before any build."""

_YEARS = range(2000, 2200)


def usable_date(date: datetime | None) -> datetime | None:
    """A date that builds can be ordered by; None for one that is missing or absurd.

    A build of the year 9999 would hide each later one, and one of the year 1 would itself be hidden. A
    date without a zone is taken for UTC.
    """
    if date is None or date.year not in _YEARS:
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def created(build: Build) -> datetime:
    """When the build was created; long ago if that is not known, or absurd."""
    return usable_date(build.created_on) or LONG_AGO


def in_order(newest_first: Iterable[Build]) -> tuple[Build, ...]:
    """Builds of a list that has the newest first, with the oldest first.

    Their dates tell the order, and the list tells that of builds of one moment. If one of them has no
    usable date, the list tells the order of all.
    """
    builds = tuple(newest_first)[::-1]
    if any(usable_date(build.created_on) is None for build in builds):
        return builds
    return tuple(sorted(builds, key=created))


class BuildMap(Model, frozen=True, kw_only=True):
    """The result of the two bulk look-ups: builds by the id that was asked for."""

    _essential: ClassVar[frozenset[str]] = frozenset({"builds"})  # else no build would mean "never built"

    builds: dict[str, Build | None] | None = None


class CanceledBuild(Model, frozen=True, kw_only=True):
    """What cancelling answers: the outcome and the end of the build, without its status."""

    build_uuid: str | None = None
    build_outcome: BuildOutcome | None = None
    stopped_on: Moment | None = None
