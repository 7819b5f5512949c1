"""Build events: turns changes of builds into messages for a subscribed queue."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal, NamedTuple

from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.simulator.account import Account
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.queues import NewMessage
from builds_async.simulator.records import Json, Subscription
from builds_async.simulator.views import Views

_PREFIX = "cf.workersBuilds.worker.build."
_METADATA = {
    "build_trigger_source": "buildTriggerSource",
    "branch": "branch",
    "commit_hash": "commitHash",
    "commit_message": "commitMessage",
    "author": "author",
    "build_command": "buildCommand",
    "deploy_command": "deployCommand",
    "root_directory": "rootDirectory",
    "repo_name": "repoName",
    "provider_account_name": "providerAccountName",
    "provider_type": "providerType",
}


class _Words(NamedTuple):
    """The words of an event: the last part of its type, the status and the outcome."""

    type: str
    status: str
    outcome: str | None


_STARTED = _Words("started", "running", None)
_ENDED: dict[str, dict[str, _Words]] = {
    "documented": {
        BuildOutcome.SUCCESS: _Words("succeeded", "success", "success"),
        BuildOutcome.FAIL: _Words("failed", "failed", "failure"),
        BuildOutcome.CANCELLED: _Words("canceled", "canceled", "canceled"),
    },
    "template": {
        BuildOutcome.SUCCESS: _Words("succeeded", "stopped", "success"),
        BuildOutcome.FAIL: _Words("failed", "stopped", "failure"),
        BuildOutcome.CANCELLED: _Words("failed", "stopped", "cancelled"),
    },
}


class EventFeed:
    """The build events for one queue, beginning when the feed is created."""

    def __init__(self, account: Account, queue_id: str, words: Literal["documented", "template"]) -> None:
        self._account = account
        self._queue_id = queue_id
        self._words = words
        self._known = 0
        self._watched: dict[str, tuple[SimulatedBuild, bool]] = {}
        """Builds that may still have events, each with whether its start was reported."""
        # Consumed here, so that earlier transitions make no events.
        for _ in self._transitions():
            pass

    def news(self) -> Iterator[NewMessage]:
        """The events since the last call, oldest first."""
        for moment, build, words in sorted(self._transitions(), key=lambda transition: transition[0]):
            subscription = self._subscription(moment, build, words)
            if subscription is not None:
                event = self._event(moment, build, words, subscription)
                yield NewMessage(f"{build.build_uuid} {words.type}", event, moment)

    def _transitions(self) -> Iterable[tuple[float, SimulatedBuild, _Words]]:
        # Builds are only ever appended: those beyond the known number are new.
        for build in islice(self._account.builds.values(), self._known, None):
            self._watched[build.build_uuid] = build, False
        self._known = len(self._account.builds)
        for build, started in tuple(self._watched.values()):
            for moment, words in self._transitions_of(build, started=started):
                yield moment, build, words

    def _transitions_of(self, build: SimulatedBuild, *, started: bool) -> Iterable[tuple[float, _Words]]:
        running = build.entered(BuildStatus.RUNNING)
        if running is not None and not started:
            self._watched[build.build_uuid] = build, True
            yield running, _STARTED
        outcome = build.visible_outcome
        if outcome is not None:
            # No event can follow an outcome, so a finished build is no longer watched.
            del self._watched[build.build_uuid]
            if outcome != BuildOutcome.SKIPPED:
                other = _Words("failed", "stopped", str(outcome))
                yield build.changed, _ENDED[self._words].get(outcome, other)

    def _subscription(self, moment: float, build: SimulatedBuild, words: _Words) -> Subscription | None:
        """The subscription that delivers the event to the queue; None if there is none."""
        name, event = self._worker_name(build), f"build.{words.type}"
        wide = self._account.behavior.subscription_scope == "account"
        return next(
            (
                it
                for it in self._account.subscriptions.values()
                if it.wants(self._queue_id, event, None if wide else name, moment)
            ),
            None,
        )

    def _worker_name(self, build: SimulatedBuild) -> str:
        return self._account.scripts[build.external_script_id].name

    def _event(self, moment: float, build: SimulatedBuild, words: _Words, subscription: Subscription) -> Json:
        api_date = self._account.calendar.api_date
        # Only the names differ from REST: the values are equal.
        metadata = Views(self._account).build(build)["build_trigger_metadata"]
        return {
            "type": _PREFIX + words.type,
            "source": {"type": "workersBuilds.worker", "workerName": self._worker_name(build)},
            "payload": {
                "buildUuid": build.build_uuid,
                "status": words.status,
                "buildOutcome": words.outcome,
                "createdAt": api_date(build.created),
                "initializingAt": api_date(build.entered(BuildStatus.INITIALIZING)),
                "runningAt": api_date(build.entered(BuildStatus.RUNNING)),
                "stoppedAt": api_date(build.entered(BuildStatus.STOPPED)) if words.outcome else None,
                "buildTriggerMetadata": {camel: metadata[name] for name, camel in _METADATA.items()},
            },
            "metadata": {
                "accountId": self._account.account_id,
                "eventSubscriptionId": subscription.id,
                "eventSchemaVersion": 1,
                "eventTimestamp": api_date(moment),
            },
        }
