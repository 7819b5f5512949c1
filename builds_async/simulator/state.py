"""What a simulated account holds: Workers, builds and tokens. No I/O, no HTTP, no tasks."""

import itertools
from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

import msgspec

from builds_async.session.clock import Clock
from builds_async.simulator.behaviour import Behaviour, TokenKind
from builds_async.simulator.builds import BuildDetails, Moment, SimulatedBuild
from builds_async.simulator.identity import Calendar, Identities
from builds_async.simulator.records import Json, Preview, Trigger, Worker
from builds_async.simulator.registry import Registry
from builds_async.simulator.scripts import typical_build

if TYPE_CHECKING:
    from builds_async.simulator.queues import SimulatedQueue


MAX_TRIGGERS: Final = 2


class TriggerOptions(TypedDict, total=False):
    """What may be said about a trigger when it is added; the rest is as the dashboard would make it."""

    name: str
    branch_includes: Iterable[str]
    branch_excludes: Iterable[str]
    build_command: str
    deploy_command: str
    environment_variables: Mapping[str, str | None]
    """Values by name; None is a secret."""


class _ScriptOptions(TypedDict, total=False):
    deployed: bool
    tags: tuple[str, ...]
    parent: str | None


class State:
    """The account. Builds are evaluated when somebody looks, so any number of them costs nothing."""

    def __init__(
        self,
        clock: Clock,
        behaviour: Behaviour,
        *,
        account_id: str | None = None,
        page_size: int = 100,
        seed: int | None = None,
        epoch: datetime | None = None,
        started_builds: Callable[[SimulatedBuild], Iterable[Moment]] = typical_build,
    ) -> None:
        if page_size < 1:
            raise ValueError("page_size must be positive")
        self.calendar: Final = Calendar(clock, epoch)
        self.behaviour: Final = behaviour
        self.identities: Final = Identities(seed)
        self.page_size: Final = page_size
        self.started_builds: Final = started_builds
        self.account_id: Final = account_id or self.identities.tag()
        self.tokens: Final[dict[str, TokenKind]] = {}
        self.key_pairs: Final[dict[str, str]] = {}
        self.builds: Final[dict[str, SimulatedBuild]] = {}
        self.workers: Final[dict[str, str]] = {}
        self.scripts: Final[dict[str, Worker]] = {}
        """Each Worker and each Preview by its tag."""
        self.registry: Final = Registry(self.calendar, self.identities)
        self.queues: Final[dict[str, SimulatedQueue]] = {}
        self.minutes: tuple[bool | None, datetime | None] | None = None
        """Whether the build minutes are used up, and when there will be new ones. None: a free plan's."""
        self._by_worker: dict[str, list[tuple[float, int, SimulatedBuild]]] = {}
        self._by_version: dict[str, SimulatedBuild] = {}

    def add_token(self, kind: TokenKind, token: str | None = None) -> str:
        """Let a token in, as what it is. None: a new one."""
        kind = TokenKind(kind)  # a wrong word would let it do everything
        prefix = "cfat_" if kind == TokenKind.ACCOUNT_OWNED else "cfut_"
        token = self.identities.token(prefix) if token is None else token
        self.tokens[token] = kind
        return token

    def add_worker(
        self,
        name: str | None = None,
        *,
        tag: str | None = None,
        connected: bool = True,
        deployed: bool = True,
        tags: Iterable[str] = (),
    ) -> str:
        """Add a Worker and give its tag. The name of an existing one gives that one's tag."""
        name = self._new_name() if name is None else name
        known = self.workers.get(name)
        if known is not None and tag in (None, known):
            return known
        tag = self.identities.tag() if tag is None else tag
        if known is not None or tag in self.scripts:
            raise ValueError(f"there is another Worker with the name {name!r} or the tag {tag!r}")
        worker = self._new_script(tag, name, deployed=deployed, tags=tuple(tags))
        if connected:
            self.registry.first_trigger(worker)
        self.workers[name] = tag
        return tag

    def _new_name(self) -> str:
        names = (f"worker-{number}" for number in itertools.count(len(self.workers) + 1))
        return next(name for name in names if name not in self.workers)

    def _new_script(self, tag: str, name: str, **options: Unpack[_ScriptOptions]) -> Worker:
        now = self.calendar.now()
        worker = Worker(tag=tag, name=name, created=now, modified=now, **options)
        self.scripts[tag] = worker
        return worker

    def add_build(
        self, details: BuildDetails, script: Iterable[Moment], created: float | None = None
    ) -> SimulatedBuild:
        """Add a build. What `details` leaves open is made up.

        Raises:
            ValueError: There is no Worker with that tag, or it has no such trigger.
        """
        tag = self.add_worker() if details.external_script_id is None else details.external_script_id
        if tag not in self.scripts:
            raise ValueError(f"there is no Worker with the tag {tag!r}; add_worker() gives tags")
        trigger = self._trigger_of(self.scripts[tag], details)
        build = SimulatedBuild(
            self.identities.uuid(),
            self._completed(details, trigger),
            trigger=trigger,
            calendar=self.calendar,
            behaviour=self.behaviour,
            script=script,
            created=created,
        )
        self._file(build)
        return build

    def add_trigger(self, worker: Worker, **options: Unpack[TriggerOptions]) -> Trigger:
        """Give a Worker its next trigger.

        Raises:
            ValueError: It has two.
        """
        if len(worker.live_triggers) >= MAX_TRIGGERS:
            raise ValueError(f"the Worker {worker.name!r} has {MAX_TRIGGERS} triggers")
        trigger = self.registry.next_trigger(worker)
        settings = trigger.settings
        trigger.trigger_name = options.get("name", trigger.trigger_name)
        trigger.branch_includes = list(options.get("branch_includes", trigger.branch_includes))
        trigger.branch_excludes = list(options.get("branch_excludes", trigger.branch_excludes))
        settings.build_command = options.get("build_command", settings.build_command)
        settings.deploy_command = options.get("deploy_command", settings.deploy_command)
        settings.variables = self.registry.variables(options.get("environment_variables", {}))
        return trigger

    def add_preview(self, worker: Worker, branch: str) -> Preview:
        """Give a Worker a Preview; its settings are those of the base, or the production's.

        Raises:
            ValueError: The Worker has no trigger, or a Preview of that branch.
        """
        production = worker.production
        if production is None or any(preview.branch == branch for preview in self.previews_of(worker.tag)):
            raise ValueError(f"the Worker {worker.name!r} can't have a Preview of {branch!r}")
        if worker.previews_base is None:
            worker.previews_base = production.settings.copy()
            worker.previews_base.deploy_command = "npx wrangler preview"
        worker.previews_enabled = True
        script = self._new_script(self.identities.tag(), worker.name, parent=worker.tag)
        settings, connection = worker.previews_base.copy(), production.connection
        trigger = self.registry.add_trigger(
            script,
            connection,
            settings,
            name="Preview",
            branch_includes=[branch],
            branch_excludes=[],
            listed=False,
        )
        preview = Preview(worker=script, trigger=trigger)
        self.registry.previews[script.tag] = preview
        return preview

    def previews_of(self, tag: str) -> list[Preview]:
        """The Previews of a Worker, oldest first."""
        return [it for it in self.registry.previews.values() if it.worker.parent == tag]

    def _trigger_of(self, worker: Worker, details: BuildDetails) -> Trigger:
        preview = self.registry.previews.get(worker.tag)
        if preview is not None:
            return preview.trigger
        trigger = worker.trigger_for(details.branch)
        if details.trigger_uuid is not None:
            uuids = {trigger.trigger_uuid: trigger for trigger in worker.triggers}
            trigger = uuids.get(details.trigger_uuid)
        if trigger is None:
            raise ValueError(f"the Worker {worker.name!r} has no such trigger, so it can't have the build")
        return trigger

    def _completed(self, details: BuildDetails, trigger: Trigger) -> BuildDetails:
        settings, commit = trigger.settings, details.commit_hash
        variables = details.environment_variables
        if variables is None:
            known = settings.variables.items()
            variables = {name: None if it.is_secret else it.value for name, it in known}
        return msgspec.structs.replace(
            details,
            external_script_id=trigger.external_script_id,
            trigger_uuid=trigger.trigger_uuid,
            version_id=details.version_id or self.identities.uuid(),
            commit_hash=self.identities.commit() if commit is None else commit,
            build_command=settings.build_command if details.build_command is None else details.build_command,
            deploy_command=details.deploy_command or settings.deploy_command,
            environment_variables=variables,
        )

    def start_build(
        self,
        trigger: Trigger,
        *,
        source: str,
        branch: str | None = None,
        commit_hash: str | None = None,
        deploy_hook_name: str | None = None,
    ) -> SimulatedBuild:
        """A build that somebody asked for. It plays the script that `started_builds` gives for it."""
        branches = [name for name in trigger.branch_includes if name != "*"]
        details = BuildDetails(
            external_script_id=trigger.external_script_id,
            trigger_uuid=trigger.trigger_uuid,
            branch=branch or next(iter(branches), "main"),
            source=source,
            commit_hash=commit_hash or "",
            deploy_hook_name=deploy_hook_name,
        )
        if not commit_hash:
            details = msgspec.structs.replace(details, commit_message="", author="")
        build = self.add_build(details, ())
        build.play(self.started_builds(build))
        return build

    def remove_trigger(self, trigger: Trigger) -> None:
        """Delete a trigger and cancel its unfinished builds."""
        self.registry.remove_trigger(trigger)
        self.cancel_builds(trigger)

    def cancel_builds(self, trigger: Trigger) -> None:
        """Cancel the unfinished builds of a trigger."""
        for build in self.builds.values():
            if build.trigger is trigger:
                build.cancel()

    def limits(self) -> Json:
        """What the account says of its build minutes."""
        reached, refresh = self.minutes or (False, _next_month(self.calendar.date(self.calendar.now())))
        return {
            "has_reached_build_minutes_limit": reached,
            "build_minutes_refresh_on": refresh and f"{refresh.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z",
        }

    def _file(self, build: SimulatedBuild) -> None:
        self.builds[build.build_uuid] = build
        self._by_version[build.version_id] = build
        if build.details.listed:
            self._list(build.external_script_id, build)
            parent = self.scripts[build.external_script_id].parent
            if parent is not None and self.behaviour.preview_builds == "listed":
                self._list(parent, build)

    def _list(self, tag: str, build: SimulatedBuild) -> None:
        builds = self._by_worker.setdefault(tag, [])
        insort(builds, (build.created, len(builds), build))

    def builds_of(self, tag: str) -> list[SimulatedBuild]:
        """The listed builds of a Worker, newest first."""
        return [build for _, _, build in reversed(self._by_worker.get(tag, ()))]

    def latest(self, tag: str) -> SimulatedBuild | None:
        """The newest listed build of a Worker."""
        builds = self._by_worker.get(tag)
        return builds[-1][2] if builds else None

    def by_version(self, version_id: str) -> SimulatedBuild | None:
        """The build that made a Worker version."""
        return self._by_version.get(version_id)


def _next_month(date: datetime) -> datetime:
    month = date.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (month + timedelta(days=31)).replace(day=1)
