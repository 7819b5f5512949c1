"""Chooses builds by their state and branch, for the commands that list builds."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Final

from cyclopts import Group, Parameter

from builds_async import Build

_FILTERS = Group("Filters", sort_key=5)


@Parameter(name="*", group=_FILTERS)
@dataclass(frozen=True, kw_only=True)
class BuildFilters:
    """The choice of builds. A build has to be in one of the wanted states, if any, and on the branch."""

    failed: Annotated[bool, Parameter(help="Only builds that failed or were terminated.")] = False

    running: Annotated[
        bool,
        Parameter(help="Only builds that run or are queued. With --failed: these and the failed ones."),
    ] = False

    branch: Annotated[str | None, Parameter(help="Only builds of this branch; 'release/*' is a pattern.")] = (
        None
    )

    def __bool__(self) -> bool:
        """Whether any filter is given."""
        return bool(self.words)

    @property
    def words(self) -> str:
        """The filters as they are written on the command line."""
        words = ["--failed"] * self.failed + ["--running"] * self.running
        if self.branch is not None:
            words.append(f"--branch {self.branch}")
        return " ".join(words)

    def match(self, build: Build | None) -> bool:
        """Whether a build passes. None, for a Worker that was never built, passes no filter."""
        if build is None:
            return not self
        # Git allows no wildcard in the name of a branch, so a name is never taken for a pattern.
        is_on_branch = self.branch is None or fnmatchcase(build.branch or "", self.branch)
        return is_on_branch and self._is_wanted(build)

    def _is_wanted(self, build: Build) -> bool:
        if not self.failed and not self.running:
            return True
        return (self.failed and build.failed) or (self.running and not build.is_finished)


NO_FILTERS: Final = BuildFilters()
