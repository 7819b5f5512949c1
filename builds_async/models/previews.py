"""Previews: branches of a Worker that are built and served in addition to production."""

from typing import ClassVar

from builds_async.models.base import Id, Model
from builds_async.models.workers import WorkerBuildSettings


class Preview(Model, frozen=True, kw_only=True):
    """A preview of a Worker."""

    _shown: ClassVar[tuple[str, ...]] = ("preview_id", "branch")

    preview_id: Id
    """The id of the preview, which also serves as a Worker's tag."""
    branch: str | None = None
    """The Git branch that the preview tracks."""
    auto_build: bool | None = None
    """Whether a push to the branch builds the preview. Other ways to start builds are not affected."""
    auto_delete: bool | None = None
    """Whether the preview is deleted together with its branch."""
    settings: WorkerBuildSettings | None = None
    """The build settings; None in a list, which lacks them."""
