"""Worker scripts, and how they are built."""

from collections.abc import Iterable, Mapping

from msgspec import UNSET, UnsetType
from msgspec.structs import force_setattr

from builds_async.models.base import Body, Id, Model, Moment, texts
from builds_async.models.builds import EnvironmentVariable, ProviderType
from builds_async.models.variables import NewVariable, changed_variables, new_variables, secret_values

MAX_BRANCH = 256
"""How many characters the name of a branch may have."""


class WorkerScript(Model, frozen=True, kw_only=True):
    """An entry of the account's list of Workers: `id` is the name, `tag` the immutable id."""

    id: Id
    tag: str | None = None
    created_on: Moment | None = None
    modified_on: Moment | None = None
    etag: str | None = None
    handlers: tuple[str, ...] | None = None
    has_assets: bool | None = None
    has_modules: bool | None = None
    last_deployed_from: str | None = None
    compatibility_date: str | None = None
    compatibility_flags: tuple[str, ...] | None = None
    usage_model: str | None = None
    tags: tuple[str | None, ...] | None = None


class FoundWorker(Model, frozen=True, kw_only=True):
    """What a search for Workers finds: here `id` is the tag, and `script_name` the name."""

    id: Id
    script_name: str | None = None
    service_name: str | None = None
    environment_name: str | None = None
    environment_is_default: bool | None = None
    created_on: Moment | None = None
    modified_on: Moment | None = None


class WorkerGitRepository(Model, frozen=True, kw_only=True):
    """The repository and branch that a Worker is built from. `repo_id` is the provider's id, as a string."""

    branch: str | None = None
    repo_id: str | None = None
    repo_name: str | None = None
    provider_type: ProviderType | None = None
    provider_account_id: str | None = None
    provider_account_name: str | None = None
    grant_id: str | None = None


class WorkerBuildSettings(Model, frozen=True, kw_only=True):
    """How a Worker, or a preview of it, is built and deployed.

    `proposed_deploy_command` comes only with a Worker's `previews_base_config`, while there is a legacy
    trigger to migrate.
    """

    build_command: str | None = None
    deploy_command: str | None = None
    root_directory: str | None = None
    build_caching_enabled: bool | None = None
    build_token_uuid: str | None = None
    environment_variables: dict[str, EnvironmentVariable | None] | None = None
    path_includes: tuple[str, ...] | None = None
    path_excludes: tuple[str, ...] | None = None
    proposed_deploy_command: str | None = None


class WorkerConfig(Model, frozen=True, kw_only=True):
    """The build configuration of a Worker."""

    script_tag: str | None = None
    git_repository: WorkerGitRepository | None = None
    production_settings: WorkerBuildSettings | None = None
    previews_enabled: bool | None = None
    previews_base_config: WorkerBuildSettings | None = None


class NewGitRepository(Body, frozen=True, kw_only=True):
    """The repository of a new build configuration.

    `repo_id` and `provider_account_id` are the provider's ids, as strings. `grant_id` goes with
    `gitlab_internal` and `origin`. ValueError for a branch of no or more than 256 characters.
    """

    provider_type: str
    provider_account_id: str
    provider_account_name: str
    repo_id: str
    repo_name: str
    branch: str
    grant_id: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        checked_branch(self.branch)
        if self.grant_id == "":
            raise ValueError("grant_id has at least 1 character")


class NewBuildSettings(Body, frozen=True, kw_only=True):
    """The settings of a new build configuration. The API's defaults hold for what is UNSET."""

    build_command: str
    deploy_command: str
    build_token_uuid: str
    root_directory: str | UnsetType = UNSET
    build_caching_enabled: bool | UnsetType = UNSET
    environment_variables: Mapping[str, str | NewVariable] | UnsetType = UNSET
    path_includes: Iterable[str] | UnsetType = UNSET
    path_excludes: Iterable[str] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not isinstance(self.environment_variables, UnsetType):
            force_setattr(self, "environment_variables", new_variables(self.environment_variables))
        _settle_patterns(self)


class BuildSettingsUpdate(Body, frozen=True, kw_only=True):
    """A change of build settings: what is UNSET stays. A variable that is set to None is deleted.

    ValueError if all is UNSET.
    """

    build_command: str | UnsetType | None = UNSET
    deploy_command: str | UnsetType | None = UNSET
    build_token_uuid: str | UnsetType = UNSET
    root_directory: str | UnsetType | None = UNSET
    build_caching_enabled: bool | UnsetType = UNSET
    environment_variables: Mapping[str, str | NewVariable | None] | UnsetType = UNSET
    path_includes: Iterable[str] | UnsetType = UNSET
    path_excludes: Iterable[str] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if all(getattr(self, name) is UNSET for name in self.__struct_fields__):
            raise ValueError("a change of build settings changes at least one field")
        if not isinstance(self.environment_variables, UnsetType):
            force_setattr(self, "environment_variables", changed_variables(self.environment_variables))
        _settle_patterns(self)


def settings_secrets(*settings: NewBuildSettings | BuildSettingsUpdate | UnsetType) -> tuple[str, ...]:
    """The secret values in these settings, which no error may tell."""
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
    """`branch`, if it has a length that the API takes, else ValueError."""
    if not 1 <= len(branch) <= MAX_BRANCH:
        raise ValueError(f"a branch has 1 to {MAX_BRANCH} characters, not {len(branch)}")
    return branch


def _settle_patterns(settings: NewBuildSettings | BuildSettingsUpdate) -> None:
    """Keep patterns as tuples, whatever they were given as."""
    force_setattr(settings, "path_includes", texts(settings.path_includes))
    force_setattr(settings, "path_excludes", texts(settings.path_excludes))
