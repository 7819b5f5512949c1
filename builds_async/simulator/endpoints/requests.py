"""The bodies that requests may have, and what the schema limits them to."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from builds_async.simulator.records import Json

Branch: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Provider: TypeAlias = Literal["github", "gitlab", "gitlab_internal", "origin"]
_Patterns: TypeAlias = list[str]
_Name: TypeAlias = Annotated[str, Meta(pattern=r"\A[A-Za-z_][A-Za-z0-9_]*\Z")]
_WITH_GRANT = ("gitlab_internal", "origin")


class NewVariable(msgspec.Struct, kw_only=True):
    """A variable or a secret."""

    value: Annotated[str, Meta(max_length=5000)]
    is_secret: bool


NewVariables: TypeAlias = dict[_Name, NewVariable]
VariableChanges: TypeAlias = dict[_Name, NewVariable | None]


class _Change(msgspec.Struct, kw_only=True):
    """A partial update: what is not sent stays as it is."""

    def sent(self) -> Json:
        """The fields that were sent."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not UNSET}


class _SomeChange(_Change):
    """A partial update of at least one field."""

    def __post_init__(self) -> None:
        if not self.sent():
            raise ValueError("nothing to change")


class _SeedFile(msgspec.Struct, kw_only=True):
    filename: str
    content: str
    isBase64: bool = False  # noqa: N815  # its name on the wire
    replace: str | UnsetType = UNSET


class _Seed(msgspec.Struct, kw_only=True):
    provider: Literal["github", "gitlab"]
    owner: str
    repository: str
    branch: str | UnsetType = UNSET
    path: str | UnsetType = UNSET
    files: Annotated[tuple[_SeedFile, ...], Meta(max_length=2)] = ()


class NewBuild(msgspec.Struct, kw_only=True):
    """What shall be built: a branch, a commit, or both."""

    branch: str | UnsetType = UNSET
    commit_hash: str | UnsetType = UNSET
    seed_repo: _Seed | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not self.branch and not self.commit_hash:
            raise ValueError("a build needs a branch or a commit")


class NewTrigger(msgspec.Struct, kw_only=True):
    """A trigger. The live API makes up what the schema requires but has a default here."""

    external_script_id: str
    build_token_uuid: str
    repo_connection_uuid: str
    trigger_name: str
    build_command: str
    deploy_command: str
    branch_includes: _Patterns
    root_directory: str = "/"
    branch_excludes: _Patterns = []
    path_includes: _Patterns = msgspec.field(default_factory=lambda: ["*"])
    path_excludes: _Patterns = []
    build_caching_enabled: bool = False

    def __post_init__(self) -> None:
        _some_branch(self.branch_excludes)


class SettingsChange(_Change):
    """Build settings, but for the variables."""

    build_token_uuid: str | UnsetType = UNSET
    build_command: str | UnsetType = UNSET
    deploy_command: str | UnsetType = UNSET
    root_directory: str | UnsetType = UNSET
    path_includes: _Patterns | UnsetType = UNSET
    path_excludes: _Patterns | UnsetType = UNSET
    build_caching_enabled: bool | UnsetType = UNSET


class TriggerChange(SettingsChange):
    """What of a trigger can be changed."""

    trigger_name: str | UnsetType = UNSET
    branch_includes: _Patterns | UnsetType = UNSET
    branch_excludes: _Patterns | UnsetType = UNSET

    def __post_init__(self) -> None:
        _some_branch(self.branch_excludes or [])


class NewToken(msgspec.Struct, kw_only=True):
    """An API token to be registered for builds."""

    build_token_name: str
    build_token_secret: str
    cloudflare_token_id: str


class NewConnection(msgspec.Struct, kw_only=True):
    """A repository to be connected."""

    provider_type: Provider
    provider_account_id: str
    provider_account_name: str
    repo_id: str
    repo_name: str


class NewHook(msgspec.Struct, kw_only=True):
    """A deploy hook."""

    deploy_hook_name: Annotated[str, Meta(min_length=1, max_length=58)]
    branch: str


class NewGitRepository(NewConnection):
    """A repository and its production branch."""

    branch: Branch
    grant_id: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.provider_type in _WITH_GRANT and self.grant_id is UNSET:
            raise ValueError("this provider needs a grant")


class NewSettings(msgspec.Struct, kw_only=True):
    """Build settings."""

    build_token_uuid: str
    build_command: str
    deploy_command: str
    root_directory: str = "/"
    path_includes: _Patterns = msgspec.field(default_factory=lambda: ["*"])
    path_excludes: _Patterns = []
    build_caching_enabled: bool = True
    environment_variables: NewVariables = {}


class NewWorkerBuild(msgspec.Struct, kw_only=True):
    """The build configuration of a Worker."""

    script_tag: str
    git_repository: NewGitRepository
    production_settings: NewSettings
    previews_enabled: bool
    previews_base_config: NewSettings


class WorkerSettingsChange(SettingsChange, _SomeChange):
    """Build settings to be changed; a variable that is null is deleted."""

    environment_variables: VariableChanges | UnsetType = UNSET


class _GitChange(_SomeChange):
    branch: Branch | UnsetType = UNSET


class WorkerBuildChange(_SomeChange):
    """What of a Worker's build configuration can be changed."""

    git_repository: _GitChange | UnsetType = UNSET
    production_settings: WorkerSettingsChange | UnsetType = UNSET
    previews_enabled: bool | UnsetType = UNSET
    previews_base_config: WorkerSettingsChange | UnsetType = UNSET


class Migration(msgspec.Struct, kw_only=True):
    """How Previews shall be deployed."""

    deploy_command: str | UnsetType = UNSET


class PreviewChange(_SomeChange):
    """What of a Preview can be changed."""

    branch: Branch | UnsetType = UNSET
    auto_build: bool | UnsetType = UNSET
    auto_delete: bool | UnsetType = UNSET
    settings: WorkerSettingsChange | UnsetType = UNSET


class EventSource(_Change):
    """Whose events; a Worker by its name or by its tag, as the kind wants it."""

    type: Literal[
        "images",
        "kv",
        "r2",
        "superSlurper",
        "vectorize",
        "workersAi.model",
        "workersBuilds.worker",
        "workers.script",
        "workflows.workflow",
    ]
    model_name: str | UnsetType = UNSET
    worker_name: str | UnsetType = UNSET
    script_tag: str | UnsetType = UNSET
    workflow_name: str | UnsetType = UNSET


class EventDestination(msgspec.Struct, kw_only=True):
    """Where events go."""

    type: Literal["queues.queue"]
    queue_id: str


class NewSubscription(msgspec.Struct, kw_only=True):
    """A subscription of a queue."""

    name: str
    source: EventSource
    destination: EventDestination
    events: Annotated[list[str], Meta(min_length=1)]
    enabled: bool = True


class SubscriptionChange(_Change):
    """What of a subscription can be changed."""

    name: str | UnsetType = UNSET
    destination: EventDestination | UnsetType = UNSET
    events: Annotated[list[str], Meta(min_length=1)] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


def _some_branch(excludes: list[str]) -> None:
    if "*" in excludes:
        raise ValueError("a trigger must not exclude every branch")
