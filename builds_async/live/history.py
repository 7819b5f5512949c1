"""The known builds of one Worker, without I/O."""

from builds_async.live.finish import EndDetector
from builds_async.models.builds import Build, BuildStatus
from builds_async.session.clock import Clock

_REMEMBERED = 50
_RANKS = {BuildStatus.QUEUED: 0, BuildStatus.INITIALIZING: 1}


class History:
    """The builds of one Worker that were seen, and the last state of each that may still change."""

    def __init__(self, tag: str, clock: Clock) -> None:
        self.tag = tag
        """The Worker, in lower case."""

        self.newest: Build | None = None
        """The newest build."""

        self.builds: dict[str, Build | None] = {}
        """The builds that were seen, by UUID. None for a build whose state is not needed any more."""

        self.open: dict[str, EndDetector] = {}
        """The builds that are not final, by UUID."""

        self._clock = clock

    def add(self, build: Build, *, newest: bool) -> None:
        """Add a build that was not seen before."""
        if newest:
            # Only the UUID of a superseded final build is needed; an open build drops its state in `update`.
            if self.newest is not None and self.newest.build_uuid not in self.open:
                self.builds[self.newest.build_uuid] = None
            self.newest = build
        self.builds[build.build_uuid] = build
        self.open[build.build_uuid] = EndDetector(self._clock)
        self.update(build)
        # The list is bounded, so that memory does not grow with each build. 50 are enough: only recent builds
        # come again, in a list or from a copy that lags.
        for build_uuid in [it for it in self.builds if it not in self.open][:-_REMEMBERED]:
            del self.builds[build_uuid]

    def update(self, build: Build) -> None:
        """Take a new state of a known build, unless a later state is known."""
        known = self.builds[build.build_uuid]
        if known is None or not is_before(build, known):
            self.builds[build.build_uuid] = build
            if self.newest is not None and build.build_uuid == self.newest.build_uuid:
                self.newest = build
        end_detector = self.open.get(build.build_uuid)
        if end_detector is not None and end_detector.is_final(build):
            del self.open[build.build_uuid]
            if build is not self.newest:
                self.builds[build.build_uuid] = None

    def forget(self, build_uuid: str) -> None:
        """Close a build that was deleted."""
        self.open.pop(build_uuid, None)
        self.builds[build_uuid] = None


def moved_on(known: Build, build: Build) -> bool:
    """Whether the build has another status or outcome than before, and not an earlier one."""
    changed = (known.status, known.build_outcome) != (build.status, build.build_outcome)
    return changed and not is_before(build, known)


def is_before(build: Build, known: Build) -> bool:
    """Whether a response is older than the known state: two requests may reach different copies."""
    return _rank(build) < _rank(known)


def _rank(build: Build) -> int:
    """How far a build has come; an unknown status counts as running."""
    if build.is_stopped:
        return 4 if build.is_finished else 3
    return _RANKS.get(build.status or BuildStatus.RUNNING, 2)
