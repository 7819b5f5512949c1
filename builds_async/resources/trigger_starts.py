"""Starts builds with triggers, for `client.triggers` and `client.builds`."""

from functools import partial

import msgspec

from builds_async.errors import BuildsError, ResponseDecodeError
from builds_async.models.builds import Build, Trigger
from builds_async.models.envelope import Envelope
from builds_async.models.seeds import SeedRepo
from builds_async.resources.builds import DatedBuilds
from builds_async.resources.starting import BuildStarter, LookupResult
from builds_async.resources.workers import Workers
from builds_async.session.ids import identifier, is_tag, normalized_id, tag
from builds_async.session.session import ApiSession

_TRIGGERS = msgspec.json.Decoder(Envelope[tuple[Trigger, ...]])
_REMEMBERED = 10_000  # triggers


class TriggerStarts:
    """Starts builds with triggers, and remembers the Worker of each trigger: the API can't look it up."""

    def __init__(self, session: ApiSession, builds: DatedBuilds, workers: Workers) -> None:
        self._session = session
        self._builds = builds
        self._workers = workers
        self._starter = BuildStarter(session)
        self._tags: dict[str, str] = {}  # of Workers, by the UUID of a trigger that was in a response

    async def triggers_of(self, external_script_id: str) -> tuple[Trigger, ...]:
        """Return the triggers of a Worker, and remember them."""
        path = f"/builds/workers/{tag(external_script_id)}/triggers"
        triggers = await self._session.get(path, _TRIGGERS, nullable=True) or ()
        return tuple(self.remember(trigger) for trigger in triggers)

    def remember(self, trigger: Trigger) -> Trigger:
        """Remember the Worker of a trigger, and return the trigger."""
        if trigger.trigger_uuid and is_tag(trigger.external_script_id or ""):
            if len(self._tags) >= _REMEMBERED:
                self._tags.clear()
            self._tags[normalized_id(trigger.trigger_uuid)] = trigger.external_script_id or ""
        return trigger

    async def start(
        self,
        trigger_uuid: str,
        *,
        branch: str | None,
        commit_hash: str | None,
        seed_repo: SeedRepo | None = None,
    ) -> Build:
        """Start a build, with the guarantees of `Triggers.start_build`."""
        trigger_uuid = identifier(trigger_uuid)
        path = f"/builds/triggers/{trigger_uuid}/builds"
        lookups = (partial(self._latest, trigger_uuid), partial(self._listed, trigger_uuid))
        return await self._starter.start(
            path, lookups, branch=branch, commit_hash=commit_hash, seed_repo=seed_repo
        )

    async def _latest(self, trigger_uuid: str) -> LookupResult:
        """The latest build of the trigger's Worker, if this trigger started it."""
        known = self._tags.get(trigger_uuid)
        # A trigger of an unknown Worker may belong to any, so all are looked up, 20 in each request. If the
        # build is found, its Worker is remembered, and `_listed` and later lookups need not search.
        tags = [known] if known else [it.tag for it in await self._workers.list() if is_tag(it.tag or "")]
        result, date = await self._builds.latest_dated(filter(None, tags))
        found = [build for build in result.found.values() if _is_started_by(build, trigger_uuid)]
        if not found and not all(map(_is_unreadable, result.failed.values())):
            result.raise_for_failures()
        for build in found:
            if build.trigger is not None:
                self.remember(build.trigger)
        return LookupResult(found, date)

    async def _listed(self, trigger_uuid: str) -> LookupResult:
        """The latest builds of this trigger, in case another trigger has started a build since."""
        known = self._tags.get(trigger_uuid)
        if known is None:
            return LookupResult((), None)
        page, date = await self._builds.list_dated(known)
        return LookupResult([build for build in page if _is_started_by(build, trigger_uuid)], date)


def _is_unreadable(error: BuildsError) -> bool:
    """Whether a build can't be read, now or later. Usually it is another Worker's, so it ends no lookup."""
    return isinstance(error, ResponseDecodeError) and not error.transient


def _is_started_by(build: Build, trigger_uuid: str) -> bool:
    other = build.trigger.trigger_uuid if build.trigger else None
    return other is not None and normalized_id(other) == trigger_uuid
