"""Workers and their build settings."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from msgspec import UNSET, UnsetType
from msgspec.structs import force_setattr

from builds_async.models.base import Body, Id, Model, Moment, texts
from builds_async.models.builds import EnvironmentVariable, ProviderType
from builds_async.models.variables import NewVariable, changed_variables, new_variables, secret_values

MAX_BRANCH = 256
"""The maximum length of the name of a branch, in characters."""


class WorkerScript(Model, frozen=True, kw_only=True):
    """An entry of the account's list of Workers. Here `id` is the Worker's name."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "tag")

    id: Id
    """The name of the Worker."""
    tag: str | None = None
    """The immutable id of the Worker, 32 hex digits. Workers Builds calls it `external_script_id`."""
    created_on: Moment | None = None
    """When the Worker was created."""
    modified_on: Moment | None = None
    """When the Worker was last changed."""
    etag: str | None = None
    """A hash of the script's content, in an undocumented form."""
    handlers: tuple[str, ...] | None = None
    """The event handlers that the script exports, such as `fetch`."""
    has_assets: bool | None = None
    """Whether the Worker has static assets."""
    has_modules: bool | None = None
    """Whether the script consists of ES modules."""
    last_deployed_from: str | None = None
    """The tool that last deployed the Worker, such as `wrangler`; values are undocumented."""
    compatibility_date: str | None = None
    """The date that selects the Worker's runtime behavior, as `YYYY-MM-DD`."""
    compatibility_flags: tuple[str, ...] | None = None
    """The runtime features that the Worker turns on or off."""
    usage_model: str | None = None
    """How requests are billed: `standard`, or `bundled` or `unbound` in older accounts."""
    tags: tuple[str | None, ...] | None = None
    """The Worker's free labels, unrelated to `tag`; None if it has none."""


class FoundWorker(Model, frozen=True, kw_only=True):
    """A result of a search for Workers. Here `id` is the Worker's tag."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "script_name")

    id: Id
    """The tag of the Worker, 32 hex digits. Workers Builds calls it `external_script_id`."""
    script_name: str | None = None
    """The name of the Worker."""
    service_name: str | None = None
    """The name of the service that the Worker belongs to."""
    environment_name: str | None = None
    """The name of the environment of that service."""
    environment_is_default: bool | None = None
    """Whether that environment is the default one."""
    created_on: Moment | None = None
    """When the Worker was created."""
    modified_on: Moment | None = None
    """When the Worker was last changed."""


class WorkerGitRepository(Model, frozen=True, kw_only=True):
    """The repository and the branch from which a Worker is built."""

    _shown: ClassVar[tuple[str, ...]] = ("provider_type", "provider_account_name", "repo_name", "branch")

    branch: str | None = None
    """The Git branch whose pushes are built for production."""
    repo_id: str | None = None
    """The Git host's id of the repository, as a string."""
    repo_name: str | None = None
    """The name of the repository."""
    provider_type: ProviderType | None = None
    """The Git host."""
    provider_account_id: str | None = None
    """The Git host's id of the owner, as a string."""
    provider_account_name: str | None = None
    """The user, organization or group that owns the repository."""
    grant_id: str | None = None
    """The grant behind a `gitlab_internal` or `origin` repository; None for other hosts."""


class WorkerBuildSettings(Model, frozen=True, kw_only=True):
    """The build settings of a Worker or a preview."""

    _shown: ClassVar[tuple[str, ...]] = ("build_command", "deploy_command", "root_directory")

    build_command: str | None = None
    """The command that builds the Worker."""
    deploy_command: str | None = None
    """The command that deploys the Worker or uploads a version of it."""
    root_directory: str | None = None
    """The directory of the repository in which the commands run."""
    build_caching_enabled: bool | None = None
    """Whether builds reuse cached dependencies and build output."""
    build_token_uuid: str | None = None
    """The id of the build token that builds deploy with."""
    environment_variables: dict[str, EnvironmentVariable | None] | None = None
    """The variables that builds see, by name."""
    path_includes: tuple[str, ...] | None = None
    """Patterns of paths: a push that changes one of these starts a build. `*` stands for all."""
    path_excludes: tuple[str, ...] | None = None
    """Patterns of paths: changes to these start no build."""
    proposed_deploy_command: str | None = None
    """A deploy command for previews; only in `previews_base_config`, before the migration to previews."""


class WorkerConfig(Model, frozen=True, kw_only=True):
    """The build configuration of a Worker."""

    _shown: ClassVar[tuple[str, ...]] = ("script_tag", "previews_enabled", "git_repository")

    script_tag: str | None = None
    """The tag of the Worker."""
    git_repository: WorkerGitRepository | None = None
    """The repository and the branch from which the Worker is built."""
    production_settings: WorkerBuildSettings | None = None
    """The build settings of production."""
    previews_enabled: bool | None = None
    """Whether the Worker has previews."""
    previews_base_config: WorkerBuildSettings | None = None
    """The build settings that new previews copy."""


class NewGitRepository(Body, frozen=True, kw_only=True):
    """The repository of a new build configuration. ValueError unless the branch has 1 to 256 characters."""

    _shown: ClassVar[tuple[str, ...]] = ("provider_type", "provider_account_name", "repo_name", "branch")

    provider_type: str
    """The Git host: see `ProviderType`."""
    provider_account_id: str
    """The Git host's id of the owner, as a string."""
    provider_account_name: str
    """The user, organization or group that owns the repository."""
    repo_id: str
    """The Git host's id of the repository, as a string."""
    repo_name: str
    """The name of the repository."""
    branch: str
    """The Git branch whose pushes are built for production."""
    grant_id: str | UnsetType = UNSET
    """The grant; required with `gitlab_internal` and `origin`, and only there."""

    def __post_init__(self) -> None:
        checked_branch(self.branch)
        if self.grant_id == "":
            raise ValueError("grant_id must have at least 1 character")


class NewBuildSettings(Body, frozen=True, kw_only=True):
    """The settings of a new build configuration. The API's defaults apply to fields that are UNSET."""

    _shown: ClassVar[tuple[str, ...]] = ("build_command", "deploy_command", "root_directory")

    build_command: str
    """The command that builds the Worker; may be `""`."""
    deploy_command: str
    """The command that deploys the Worker or uploads a version of it."""
    build_token_uuid: str
    """The id of the build token that builds deploy with: see `client.tokens`."""
    root_directory: str | UnsetType = UNSET
    """The directory of the repository in which the commands run; the API's default is `/`."""
    build_caching_enabled: bool | UnsetType = UNSET
    """Whether builds reuse cached dependencies and build output; the API's default is True."""
    environment_variables: Mapping[str, str | NewVariable] | UnsetType = UNSET
    """The variables that builds see, by name; a plain str is a value that is not secret."""
    path_includes: Iterable[str] | UnsetType = UNSET
    """Patterns of paths: a push that changes one of these starts a build; the API's default is `*`."""
    path_excludes: Iterable[str] | UnsetType = UNSET
    """Patterns of paths: changes to these start no build."""

    def __post_init__(self) -> None:
        if not isinstance(self.environment_variables, UnsetType):
            force_setattr(self, "environment_variables", new_variables(self.environment_variables))
        _freeze_patterns(self)


class BuildSettingsUpdate(Body, frozen=True, kw_only=True):
    """A change of build settings: a field that is UNSET keeps its value. ValueError if all are UNSET."""

    _shown: ClassVar[tuple[str, ...]] = ("build_command", "deploy_command", "root_directory")

    build_command: str | UnsetType | None = UNSET
    """The command that builds the Worker."""
    deploy_command: str | UnsetType | None = UNSET
    """The command that deploys the Worker or uploads a version of it."""
    build_token_uuid: str | UnsetType = UNSET
    """The id of the build token that builds deploy with."""
    root_directory: str | UnsetType | None = UNSET
    """The directory of the repository in which the commands run."""
    build_caching_enabled: bool | UnsetType = UNSET
    """Whether builds reuse cached dependencies and build output."""
    environment_variables: Mapping[str, str | NewVariable | None] | UnsetType = UNSET
    """The variables to set, by name. None deletes a variable; all others are kept."""
    path_includes: Iterable[str] | UnsetType = UNSET
    """Patterns of paths: a push that changes one of these starts a build."""
    path_excludes: Iterable[str] | UnsetType = UNSET
    """Patterns of paths: changes to these start no build."""

    def __post_init__(self) -> None:
        if all(getattr(self, name) is UNSET for name in self.__struct_fields__):
            raise ValueError("a change of build settings needs at least one field")
        if not isinstance(self.environment_variables, UnsetType):
            force_setattr(self, "environment_variables", changed_variables(self.environment_variables))
        _freeze_patterns(self)


def settings_secrets(*settings: NewBuildSettings | BuildSettingsUpdate | UnsetType) -> tuple[str, ...]:
    """The secret values in the settings, for redaction: no error may show them."""
    return tuple(value for it in settings for value in _secrets(it))


def _secrets(settings: NewBuildSettings | BuildSettingsUpdate | UnsetType) -> tuple[str, ...]:
    if isinstance(settings, UnsetType):
        return ()
    if not isinstance(settings, NewBuildSettings | BuildSettingsUpdate):
        raise TypeError(
            f"settings are NewBuildSettings or a BuildSettingsUpdate, not {type(settings).__name__}"
        )
    variables = settings.environment_variables
    return () if isinstance(variables, UnsetType) else secret_values(variables)


def checked_branch(branch: str) -> str:
    """`branch`, if the API accepts its length; else ValueError."""
    if not 1 <= len(branch) <= MAX_BRANCH:
        raise ValueError(f"a branch must have 1 to {MAX_BRANCH} characters, not {len(branch)}")
    return branch


def _freeze_patterns(settings: NewBuildSettings | BuildSettingsUpdate) -> None:
    """Store patterns as tuples: a generator can be read only once, and a list could change later."""
    force_setattr(settings, "path_includes", texts(settings.path_includes))
    force_setattr(settings, "path_excludes", texts(settings.path_excludes))
