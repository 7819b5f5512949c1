"""The changes that a watch reports, and its position."""

from datetime import datetime

import msgspec

from builds_async.models.brief import brief
from builds_async.models.builds import Build


class BuildChange(msgspec.Struct, frozen=True, kw_only=True):
    """A build of a Worker that is new, or whose status or outcome has changed."""

    external_script_id: str
    """The tag of the Worker, as the caller passed it."""

    previous: Build | None
    """The build as it was last reported. For a new build: the previous newest build of the Worker, or None if
    there was none."""

    build: Build
    """The build as it is now."""

    def __repr__(self) -> str:
        return brief(self)

    @property
    def is_new(self) -> bool:
        """True when this build was not reported before."""
        return self.previous is None or self.previous.build_uuid != self.build.build_uuid


class WatchedBuild(msgspec.Struct, frozen=True):
    """A build of a watch's position, as it was last reported."""

    external_script_id: str
    """The tag of the Worker."""

    build: Build
    """The build."""


class WorkerMark(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True):
    """The newest build of a Worker that a watch has seen. Later builds are new."""

    build_uuid: str
    """The UUID of that build."""

    created_on: datetime | None = None
    """When the build was created; None if the API gave no date, or an absurd one."""

    older_may_run: bool = False
    """True if older builds that are not listed yet may run: a tail or watch that starts here lists them."""


class WatchPosition(msgspec.Struct, frozen=True):
    """The position of a watch: which builds it has reported.

    `msgspec.json.encode(position)` and `msgspec.json.decode(data, type=WatchPosition)` store and load it.
    """

    workers: dict[str, WorkerMark | None] = {}
    """The newest build reported of each Worker, by tag in lower case; None for a Worker that had no build."""

    builds: dict[str, WatchedBuild] = {}
    """The reported builds that may still change or be reported again, by build UUID."""
