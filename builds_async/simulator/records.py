"""The records of a simulated account, except builds.

Fields that the API shows have the API's names; `views` renders them. Dates (`*_on`, `*_at`) are seconds of
the clock.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = dict[str, Any]

BUILDS_OF_WORKER = "workersBuilds.worker"
BUILD_EVENTS = ("build.started", "build.succeeded", "build.failed", "build.canceled")


class BuildToken(msgspec.Struct, kw_only=True):
    """An API token that is registered for builds. The secret is not stored."""

    build_token_uuid: str
    build_token_name: str
    cloudflare_token_id: str
    owner_type: str = "user"
    is_dead: bool = False
    """Whether the API token behind it was rolled, deleted or expired. The API does not show it."""


class Connection(msgspec.Struct, kw_only=True):
    """A connected repository."""

    repo_connection_uuid: str
    repo_id: str
    repo_name: str
    provider_account_id: str
    provider_account_name: str
    provider_type: str
    grant_id: str | None = None
    created_on: float
    modified_on: float
    deleted_on: float | None = None


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """A build variable."""

    value: str
    is_secret: bool
    created_on: float


class Settings(msgspec.Struct, kw_only=True):
    """Build settings of a trigger or a Preview."""

    build_command: str
    deploy_command: str
    token: BuildToken
    root_directory: str = "/"
    path_includes: list[str] = msgspec.field(default_factory=lambda: ["*"])
    path_excludes: list[str] = []
    build_caching_enabled: bool = True
    variables: dict[str, Variable] = {}

    def copy(self) -> "Settings":
        """A copy that does not share its lists and variables with the original."""
        return msgspec.structs.replace(
            self,
            path_includes=list(self.path_includes),
            path_excludes=list(self.path_excludes),
            variables=dict(self.variables),
        )


class Trigger(msgspec.Struct, kw_only=True):
    """A trigger, which starts the builds of a Worker or a Preview."""

    trigger_uuid: str
    external_script_id: str
    trigger_name: str
    branch_includes: list[str]
    branch_excludes: list[str] = []
    connection: Connection
    settings: Settings
    created_on: float
    modified_on: float
    deleted_on: float | None = None

    def takes(self, branch: str) -> bool:
        """Whether the trigger builds pushes to a branch."""
        included, excluded = (
            any(fnmatchcase(branch, pattern) for pattern in patterns)
            for patterns in (self.branch_includes, self.branch_excludes)
        )
        return included and not excluded


class Worker(msgspec.Struct, kw_only=True):
    """A Worker with its build configuration, or a Preview, which is a Worker in its own right."""

    tag: str
    name: str
    created_on: float
    modified_on: float
    deployed: bool = True
    tags: tuple[str, ...] = ()
    triggers: list[Trigger] = []
    """The triggers, oldest first, deleted ones included."""
    previews_enabled: bool = False
    previews_base: Settings | None = None
    workers_dev: bool = True
    """Whether it is served below the account's subdomain."""
    preview_urls: bool = True
    """Whether its versions have preview URLs below the account's subdomain."""
    parent: str | None = None
    """The tag of the Worker that a Preview belongs to; None for a Worker."""

    @property
    def live_triggers(self) -> list[Trigger]:
        """The triggers that are not deleted."""
        return [trigger for trigger in self.triggers if trigger.deleted_on is None]

    @property
    def production(self) -> Trigger | None:
        """The trigger of the production branch: the first one that is not for all other branches."""
        live = self.live_triggers
        return next((trigger for trigger in live if "*" not in trigger.branch_includes), _first(live))

    @property
    def legacy(self) -> Trigger | None:
        """The trigger for all other branches, from the time before Previews."""
        return _first(trigger for trigger in self.live_triggers if trigger is not self.production)

    def trigger_for(self, branch: str) -> Trigger | None:
        """The trigger that builds a branch; the production trigger if none does."""
        return _first(trigger for trigger in self.live_triggers if trigger.takes(branch)) or self.production


class Preview(msgspec.Struct, kw_only=True):
    """A Preview: its own Worker record and its trigger."""

    worker: Worker
    trigger: Trigger
    auto_build: bool = True
    auto_delete: bool = True

    @property
    def branch(self) -> str:
        """The branch that the Preview tracks."""
        return self.trigger.branch_includes[0]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """An upload of a Worker."""

    id: str
    created_on: float
    source: str
    annotations: dict[str, str]
    has_preview: bool = True


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that serve traffic from a moment on, each with its share in percent."""

    id: str
    created_on: float
    source: str
    annotations: dict[str, str]
    versions: dict[str, float]


class DeployHook(msgspec.Struct, kw_only=True):
    """A deploy hook of a Worker."""

    deploy_hook_uuid: str
    deploy_hook_name: str
    branch: str
    external_script_id: str
    created_on: float
    modified_on: float
    last_build_on: float | None = None
    """When the hook last started a build."""


class Subscription(msgspec.Struct, kw_only=True):
    """An event subscription of a queue."""

    id: str
    name: str
    enabled: bool
    source: Json
    destination: Json
    events: list[str]
    created_at: float
    modified_at: float

    def wants(self, queue_id: str, event: str, worker_name: str | None, moment: float) -> bool:
        """Whether it delivers an event of `moment` to the queue. None as the Worker matches every source."""
        return (
            self.enabled
            and moment >= self.modified_at  # changes apply to later events only
            and self.destination["queue_id"] == queue_id
            and self.source["type"] == BUILDS_OF_WORKER
            and (worker_name is None or self.source.get("worker_name") in {None, worker_name})
            and event in self.events
        )


def _first(triggers: Iterable[Trigger]) -> Trigger | None:
    return next(iter(triggers), None)
