"""Whether the latest build of a Worker serves traffic, and if not, why."""

from collections.abc import Mapping
from typing import Final

from rich.text import Text

from builds_async import Build, BuildsError, BulkResult, LiveVersion, LiveWorker, NoBuildReason
from builds_async.cli.facts import DIGITS
from builds_async.cli.tables import cell

_WORDS: Final = {
    "by_hand": "no: deployed by hand",
    "rolled_back": "no: rolled back",
    "secret": "no: a secret changed",
    "expired": "no: older than 90 days",
    "refused": "unknown: the token may not read builds",
    "never_deployed": "no: never deployed",
    "never_built": "no: never built",
}
_OTHER_BUILD: Final = "other_build"


class LiveState:
    """The versions that a Worker serves, compared with its latest build."""

    def __init__(self, build: Build | None, worker: LiveWorker | None, error: BuildsError | None) -> None:
        self._worker = worker
        self._error = error
        self._versions = () if worker is None else worker.versions
        own = [it for it in self._versions if build is not None and _is_of(it, build)]
        shares = [it.percentage for it in own if it.percentage is not None]
        self._is_live = bool(own)
        self._percentage = sum(shares) if shares else None
        self._reason = None if own or error is not None else self._why(build)

    def _why(self, build: Build | None) -> str:
        if self._worker is None:
            return "never_deployed"
        if any(it.reason == NoBuildReason.REFUSED for it in self._versions):
            return "refused"
        if build is None:
            return "never_built"
        if self._worker.deployment.triggered_by == "rollback":
            return "rolled_back"
        # The larger share comes first.
        reason = next((it.reason for it in self._versions), NoBuildReason.BY_HAND)
        if reason is None:
            return _OTHER_BUILD
        return "rolled_back" if reason == NoBuildReason.ROLLBACK else str(reason)

    def cell(self) -> Text:
        """The share of the traffic, or "no" and why; in the column `Live`."""
        if self._error is not None:
            return cell("no response", "red")
        if self._is_live:
            share = "yes" if self._percentage is None else f"{self._percentage:g}%"
            return cell(share, "green" if self._percentage in {None, 100} else "yellow")
        if self._reason == _OTHER_BUILD:
            build = next((it.build for it in self._versions if it.build is not None), None)
            return cell(f"no: build {build.build_uuid[:DIGITS]}" if build else "no", "yellow")
        return cell(_WORDS.get(self._reason or "", "no"), "yellow")

    def record(self) -> dict[str, object]:
        """The same for JSON, with the deployment and all its versions."""
        is_unknown = self._error is not None or self._reason == "refused"
        record: dict[str, object] = {
            "is_live": None if is_unknown else self._is_live,
            "percentage": self._percentage,
            "reason": self._reason,
            "deployment": self._worker and self._worker.deployment,
            "versions": self._versions,
        }
        return record if self._error is None else {**record, "error": str(self._error)}


def live_states(
    names: Mapping[str, str], builds: Mapping[str, Build], live: BulkResult[LiveWorker]
) -> dict[str, LiveState]:
    """The states of Workers by tag, with their names by tag."""
    return {
        tag: LiveState(builds.get(tag), live.found.get(name), live.failed.get(name))
        for tag, name in names.items()
    }


def _is_of(version: LiveVersion, build: Build) -> bool:
    # A version of 0 percent is deployed, and has no traffic.
    return (
        version.build is not None and version.build.build_uuid == build.build_uuid and version.percentage != 0
    )
