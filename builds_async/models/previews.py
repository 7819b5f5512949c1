"""Previews: the branches of a Worker that are built and served beside production."""

from builds_async.models.base import Id, Model
from builds_async.models.workers import WorkerBuildSettings


class Preview(Model, frozen=True, kw_only=True):
    """A preview of a Worker. `preview_id` is itself a Worker tag; `settings` don't come with a list."""

    preview_id: Id
    branch: str | None = None
    auto_build: bool | None = None
    auto_delete: bool | None = None
    settings: WorkerBuildSettings | None = None
