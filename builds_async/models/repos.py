"""The configuration that the API detects in a repository."""

from typing import TYPE_CHECKING

from builds_async.models.base import Model, OpenStrEnum


class PackageManager(OpenStrEnum):
    """The package manager of a project."""

    NPM = "npm"
    """npm, which the API also assumes if there is no lock file."""
    YARN = "yarn"
    """Yarn."""
    PNPM = "pnpm"
    """pnpm."""
    BUN = "bun"
    """Bun."""
    UV = "uv"
    """uv, for Python projects."""
    if TYPE_CHECKING:
        _UNLISTED = "any other word"


class ConfigAutofill(Model, frozen=True, kw_only=True):
    """The API's proposal for the build configuration of a repository."""

    config_file: str | None = None
    """The Wrangler configuration file that was found; None if there is none."""
    default_worker_name: str | None = None
    """The name of the Worker in the configuration file; None if it has none."""
    env_worker_names: dict[str, str | None] | None = None
    """The Worker's name in each environment of the configuration file; None if it has no environments."""
    package_manager: PackageManager | None = None
    """The package manager, inferred from the lock file."""
    scripts: dict[str, str | None] | None = None
    """The scripts of `package.json`, by name; None if there are none."""
