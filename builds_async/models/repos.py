"""What the API finds in a repository."""

from builds_async.models.base import Model, OpenStrEnum


class PackageManager(OpenStrEnum):
    """What installs the dependencies of a project."""

    NPM = "npm"
    YARN = "yarn"
    PNPM = "pnpm"
    BUN = "bun"
    UV = "uv"


class ConfigAutofill(Model, frozen=True, kw_only=True):
    """What a build configuration for a repository could be."""

    config_file: str | None = None
    default_worker_name: str | None = None
    env_worker_names: dict[str, str | None] | None = None
    package_manager: PackageManager | None = None
    scripts: dict[str, str | None] | None = None
