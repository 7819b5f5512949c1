"""Files that a build is started with."""

from msgspec import UNSET, UnsetType, field

from builds_async.models.base import Body

MAX_FILES = 2
"""How many files a seed may have."""


class SeedFile(Body, frozen=True, kw_only=True):
    """A file to add, or to replace a text in."""

    filename: str
    content: str
    is_base64: bool | UnsetType = field(default=UNSET, name="isBase64")
    replace: str | UnsetType = UNSET


class SeedRepo(Body, frozen=True, kw_only=True):
    """A repository, and changes to it, that one build is seeded with. ValueError for more than 2 files."""

    provider: str
    owner: str
    repository: str
    branch: str | UnsetType = UNSET
    path: str | UnsetType = UNSET
    files: tuple[SeedFile, ...] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not isinstance(self.files, UnsetType) and len(self.files) > MAX_FILES:
            raise ValueError(f"a seed has at most {MAX_FILES} files, not {len(self.files)}")
