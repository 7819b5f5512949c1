"""The repository and files that seed a build."""

from typing import ClassVar

from msgspec import UNSET, UnsetType, field

from builds_async.models.base import Body

MAX_FILES = 2
"""The maximum number of files of a seed."""


class SeedFile(Body, frozen=True, kw_only=True):
    """A file to add, or a replacement of text in an existing file."""

    _shown: ClassVar[tuple[str, ...]] = ("filename",)

    filename: str
    """The name of the file."""
    content: str
    """The content of the file, or the replacement for `replace`."""
    is_base64: bool | UnsetType = field(default=UNSET, name="isBase64")
    """Whether `content` is base64; the API's default is False."""
    replace: str | UnsetType = UNSET
    """The text in the file that `content` replaces. UNSET replaces the whole file."""


class SeedRepo(Body, frozen=True, kw_only=True):
    """A repository, with changes to its files, that seeds one build. ValueError for more than 2 files."""

    _shown: ClassVar[tuple[str, ...]] = ("provider", "owner", "repository", "branch")

    provider: str
    """The Git host, `github` or `gitlab`."""
    owner: str
    """The user, organization or group that owns the repository."""
    repository: str
    """The name of the repository."""
    branch: str | UnsetType = UNSET
    """The branch to seed from; the API's default is undocumented."""
    path: str | UnsetType = UNSET
    """The directory of the repository to seed from; the API's default is undocumented."""
    files: tuple[SeedFile, ...] | UnsetType = UNSET
    """At most 2 files to add or change for this build."""

    def __post_init__(self) -> None:
        if not isinstance(self.files, UnsetType) and len(self.files) > MAX_FILES:
            raise ValueError(f"a seed must have at most {MAX_FILES} files, not {len(self.files)}")
