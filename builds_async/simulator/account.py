"""The simulated account: Workers, builds, triggers, tokens, queues. No I/O, HTTP or tasks."""

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from builds_async.models.builds import BuildStatus
from builds_async.session.clock import Clock
from builds_async.simulator.behavior import Behavior, TokenKind
from builds_async.simulator.build_details import BuildDetails, Moment
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.calendar import Calendar
from builds_async.simulator.deployments import Deployments
from builds_async.simulator.ids import IdGenerator
from builds_async.simulator.queues import SimulatedQueue
from builds_async.simulator.records import (
    BuildToken,
    Connection,
    DeployHook,
    Deployment,
    Json,
    Preview,
    Settings,
    Subscription,
    Trigger,
    Variable,
    Version,
    Worker,
)
from builds_async.simulator.scripts import dead_token_script

MAX_TRIGGERS = 2

_FIRST_REPOSITORY = 100200300


class Account:
    """The state of an account, and the changes that both the API and a test's setup make to it.

    It validates little: the endpoints refuse invalid requests before they call it. A build plays its script
    only when it is read, so a build that is never read costs nothing.
    """

    def __init__(
        self,
        clock: Clock,
        behavior: Behavior,
        *,
        account_id: str | None,
        page_size: int,
        seed: int | None,
        epoch: datetime | None,
        started_builds: Callable[[SimulatedBuild], Iterable[Moment]],
    ) -> None:
        if page_size < 1:
            raise ValueError("page_size must be positive")
        self.calendar: Calendar = Calendar(clock, epoch)
        self.behavior = behavior
        self.ids: IdGenerator = IdGenerator(seed)
        self.page_size = page_size
        self.account_id: str = account_id or self.ids.tag()
        self.api_tokens: dict[str, TokenKind] = {}
        self.key_pairs: dict[str, str] = {}
        """Global keys by email address."""
        self.builds: dict[str, SimulatedBuild] = {}
        self.workers: dict[str, str] = {}
        """The tag of each Worker by its name."""
        self.scripts: dict[str, Worker] = {}
        """Each Worker and each Preview by its tag."""
        self.build_tokens: dict[str, BuildToken] = {}
        self.connections: dict[str, Connection] = {}
        self.triggers: dict[str, Trigger] = {}
        self.previews: dict[str, Preview] = {}
        self.hooks: dict[str, DeployHook] = {}
        self.hook_builds: deque[tuple[float, str]] = deque(maxlen=1000)
        """The builds that hooks started: when, and the tag of the Worker."""
        self.deployments: Deployments = Deployments()
        self.subdomain: str | None = "simulated"
        """The account's subdomain of workers.dev; None if it has none."""
        self.queues: dict[str, SimulatedQueue] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.refused_repositories: set[tuple[str, str | None]] = set()
        """Pairs of a provider account and a repository; None for every repository of that account."""
        self.minutes: tuple[bool | None, datetime | None] | None = None
        """Whether the build minutes are used up, and when they are refilled. None: those of a free plan."""
        self._started_builds = started_builds
        self._connected: dict[tuple[str, str, str], Connection] = {}
        self._by_worker: dict[str, list[tuple[float, int, SimulatedBuild]]] = {}
        self._by_version: dict[str, SimulatedBuild] = {}

    def now(self) -> float:
        """The clock's seconds."""
        return self.calendar.now()

    # Builds

    def add_build(
        self, details: BuildDetails, script: Iterable[Moment], created: float | None = None
    ) -> SimulatedBuild:
        """Add a build of a Worker. Missing details are generated. ValueError without a trigger."""
        worker = self.scripts[details.external_script_id or ""]
        trigger = self._trigger_of(worker, details)
        build = SimulatedBuild(
            self.ids.uuid(),
            self._completed(details, trigger),
            trigger=trigger,
            calendar=self.calendar,
            behavior=self.behavior,
            script=script,
            created=created,
        )
        self._file(build)
        return build

    def _trigger_of(self, worker: Worker, details: BuildDetails) -> Trigger:
        # A Preview has a single trigger, for all of its builds.
        preview = self.previews.get(worker.tag)
        if preview is not None:
            return preview.trigger
        trigger = worker.trigger_for(details.branch)
        if details.trigger_uuid is not None:
            uuids = {trigger.trigger_uuid: trigger for trigger in worker.triggers}
            trigger = uuids.get(details.trigger_uuid)
        if trigger is None:
            raise ValueError(f"the Worker {worker.name!r} has no such trigger, so the build can't be added")
        return trigger

    def _completed(self, details: BuildDetails, trigger: Trigger) -> BuildDetails:
        settings, commit = trigger.settings, details.commit_hash
        variables = details.environment_variables
        if variables is None:
            known = settings.variables.items()
            variables = {name: None if it.is_secret else it.value for name, it in known}
        version_id = details.version_id or self.ids.uuid()
        return msgspec.structs.replace(
            details,
            external_script_id=trigger.external_script_id,
            trigger_uuid=trigger.trigger_uuid,
            version_id=version_id,
            preview_url=details.preview_url or self._preview_url(trigger, version_id),
            # Not `or`: an empty string is a value, which the API has for builds without a commit.
            commit_hash=self.ids.commit() if commit is None else commit,
            build_command=settings.build_command if details.build_command is None else details.build_command,
            deploy_command=details.deploy_command or settings.deploy_command,
            environment_variables=variables,
        )

    def _preview_url(self, trigger: Trigger, version_id: str) -> str | None:
        if self.subdomain is None:
            return None
        name = self.scripts[trigger.external_script_id].name
        return f"https://{version_id[:8]}-{name}.{self.subdomain}.workers.dev"

    def start_build(
        self,
        trigger: Trigger,
        *,
        source: str,
        branch: str | None = None,
        commit_hash: str | None = None,
        deploy_hook_name: str | None = None,
    ) -> SimulatedBuild:
        """Start a build, as the API does. It plays the script that `started_builds` returns for it.

        With a dead or deleted build token it fails within seconds instead.
        """
        branches = [name for name in trigger.branch_includes if name != "*"]
        details = BuildDetails(
            external_script_id=trigger.external_script_id,
            trigger_uuid=trigger.trigger_uuid,
            branch=branch or next(iter(branches), "main"),
            source=source,
            commit_hash=commit_hash or "",
            deploy_hook_name=deploy_hook_name,
        )
        if not commit_hash:  # as the live API does
            details = msgspec.structs.replace(details, commit_message="", author="")
        # In two steps: the script is made for a build, so the build comes first.
        build = self.add_build(details, ())
        build.play(self._started_builds(build) if self.has_token(build) else dead_token_script())
        return build

    def has_token(self, build: SimulatedBuild) -> bool:
        """Whether the build token of a build exists and works."""
        token = build.settings.token
        return token.build_token_uuid in self.build_tokens and not token.is_dead

    def cancel_builds(self, trigger: Trigger) -> None:
        """Cancel the unfinished builds of a trigger."""
        for build in self.builds.values():
            if build.trigger is trigger:
                build.cancel()

    def _file(self, build: SimulatedBuild) -> None:
        self.builds[build.build_uuid] = build
        self._by_version[build.version_id] = build
        if build.details.listed:
            self._list(build.external_script_id, build)
            parent = self.scripts[build.external_script_id].parent
            if parent is not None and self.behavior.preview_builds == "listed":
                self._list(parent, build)

    def _list(self, tag: str, build: SimulatedBuild) -> None:
        builds = self._by_worker.setdefault(tag, [])
        # The index keeps builds of the same moment in order, and keeps `insort` from comparing builds.
        insort(builds, (build.created, len(builds), build))

    def is_kept(self, build: SimulatedBuild) -> bool:
        """Whether a build can still be found."""
        kept = self.behavior.builds_kept
        if kept is None:
            return True
        stopped = build.entered(BuildStatus.STOPPED)
        return stopped is None or self.now() < stopped + kept

    def builds_of(self, tag: str) -> list[SimulatedBuild]:
        """The listed builds of a Worker, newest first."""
        return [build for _, _, build in reversed(self._by_worker.get(tag, ())) if self.is_kept(build)]

    def latest(self, tag: str) -> SimulatedBuild | None:
        """The newest listed build of a Worker."""
        builds = self._by_worker.get(tag)
        return builds[-1][2] if builds and self.is_kept(builds[-1][2]) else None

    def by_version(self, version_id: str) -> SimulatedBuild | None:
        """The build that made a Worker version."""
        build = self._by_version.get(version_id)
        return build if build is not None and self.is_kept(build) else None

    def versions_of(self, tag: str) -> list[Version]:
        """The versions of a Worker, oldest first."""
        return self.deployments.versions_of(tag, self._all_builds_of(tag))

    def deployments_of(self, tag: str) -> list[Deployment]:
        """The deployments of a Worker that the API shows by now, oldest first."""
        last = self.now() - self.behavior.late_deployments
        made = self.deployments.of(tag, self._all_builds_of(tag))
        return [it for it in made if it.created_on <= last]

    def _all_builds_of(self, tag: str) -> list[SimulatedBuild]:
        # Not `builds_of`: versions and deployments stay when the build itself is no longer kept. A Preview's
        # builds may also be listed for its Worker, but they make no versions of that Worker.
        builds = (build for _, _, build in self._by_worker.get(tag, ()))
        return [build for build in builds if build.external_script_id == tag]

    def limits(self) -> Json:
        """The account's build minutes."""
        reached, refresh = self.minutes or (False, _next_month(self.calendar.date(self.now())))
        return {
            "has_reached_build_minutes_limit": reached,
            "build_minutes_refresh_on": refresh and f"{refresh.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z",
        }

    # Tokens and repositories

    def register_token(self, name: str, cloudflare_token_id: str | None = None) -> BuildToken:
        """Register an API token for builds. With None as its id, the API token is a new one."""
        uuid = self.ids.uuid()
        token = BuildToken(
            build_token_uuid=uuid,
            build_token_name=name,
            # Derived from the UUID: drawing another random id would change all later ids of a seed.
            cloudflare_token_id=UUID(uuid).hex if cloudflare_token_id is None else cloudflare_token_id,
        )
        self.build_tokens[uuid] = token
        return token

    def connect(
        self,
        *,
        repo_name: str,
        repo_id: str | None = None,
        provider_account_id: str = "4005006",
        provider_account_name: str = "octocat",
        provider_type: str = "github",
        grant_id: str | None = None,
    ) -> Connection:
        """Connect a repository. If it is connected already, its connection is kept and renamed."""
        # Deleted connections count, so that the id of a repository is never reused.
        repo_id = str(_FIRST_REPOSITORY + len(self._connected)) if repo_id is None else repo_id
        now = self.now()
        known = self.connection_of(provider_type, provider_account_id, repo_id)
        if known is not None:
            known.repo_name, known.provider_account_name = repo_name, provider_account_name
            known.modified_on = now
            return known
        connection = Connection(
            repo_connection_uuid=self.ids.uuid(),
            repo_id=repo_id,
            repo_name=repo_name,
            provider_account_id=provider_account_id,
            provider_account_name=provider_account_name,
            provider_type=provider_type,
            grant_id=grant_id,
            created_on=now,
            modified_on=now,
        )
        self.connections[connection.repo_connection_uuid] = connection
        self._connected[provider_type, provider_account_id, repo_id] = connection
        return connection

    def connection_of(self, provider_type: str, account_id: str, repo_id: str) -> Connection | None:
        """The connection of a repository, if it is connected."""
        connection = self._connected.get((provider_type, account_id, repo_id))
        return connection if connection is not None and connection.deleted_on is None else None

    def disconnect(self, connection: Connection) -> None:
        """Delete a connection. Triggers still show it."""
        del self.connections[connection.repo_connection_uuid]
        connection.deleted_on = connection.modified_on = self.now()

    # Triggers and Previews

    def add_trigger(
        self,
        worker: Worker,
        connection: Connection,
        settings: Settings,
        *,
        name: str,
        branch_includes: list[str],
        branch_excludes: list[str],
        listed: bool = True,
    ) -> Trigger:
        """Add a trigger to a Worker. The trigger of a Preview is not `listed` and can't be looked up."""
        now = self.now()
        trigger = Trigger(
            trigger_uuid=self.ids.uuid(),
            external_script_id=worker.tag,
            trigger_name=name,
            branch_includes=branch_includes,
            branch_excludes=branch_excludes,
            connection=connection,
            settings=settings,
            created_on=now,
            modified_on=now,
        )
        if listed:
            worker.triggers.append(trigger)
            self.triggers[trigger.trigger_uuid] = trigger
        return trigger

    def next_trigger(self, worker: Worker) -> Trigger:
        """Add the trigger that the dashboard would add: for `main`, then for all other branches."""
        production = worker.production
        if production is None:
            return self._first_trigger(worker)
        settings = production.settings.copy()
        settings.deploy_command = "npx wrangler versions upload"
        return self.add_trigger(
            worker,
            production.connection,
            settings,
            name="Deploy non-production branches",
            branch_includes=["*"],
            branch_excludes=list(production.branch_includes),
        )

    def _first_trigger(self, worker: Worker) -> Trigger:
        """Connect a repository named like the Worker, and add a build token and a trigger for `main`."""
        return self.add_trigger(
            worker,
            self.connect(repo_name=worker.name),
            Settings(
                build_command="npm run build",
                deploy_command="npx wrangler deploy",
                token=self.register_token("Workers Builds"),
            ),
            name="Deploy default branch",
            branch_includes=["main"],
            branch_excludes=[],
        )

    def remove_trigger(self, trigger: Trigger) -> None:
        """Delete a trigger and cancel its unfinished builds. Its builds still show it."""
        del self.triggers[trigger.trigger_uuid]
        trigger.deleted_on = trigger.modified_on = self.now()
        self.cancel_builds(trigger)

    def variables(self, values: Mapping[str, str | None]) -> dict[str, Variable]:
        """Variables that are created now; None is a secret."""
        now = self.now()
        return {
            name: Variable(value=value or "", is_secret=value is None, created_on=now)
            for name, value in values.items()
        }

    def previews_of(self, tag: str) -> list[Preview]:
        """The Previews of a Worker, oldest first."""
        return [it for it in self.previews.values() if it.worker.parent == tag]

    # Hooks and subscriptions

    def add_hook(self, tag: str, name: str, branch: str) -> DeployHook:
        """Add a deploy hook to a Worker."""
        now = self.now()
        hook = DeployHook(
            deploy_hook_uuid=self.ids.uuid(),
            deploy_hook_name=name,
            branch=branch,
            external_script_id=tag,
            created_on=now,
            modified_on=now,
        )
        self.hooks[hook.deploy_hook_uuid] = hook
        return hook

    def subscribe(
        self, name: str, source: Json, queue_id: str, events: list[str], *, enabled: bool = True
    ) -> Subscription:
        """Subscribe a queue to events from now on."""
        now = self.now()
        subscription = Subscription(
            id=self.ids.tag(),
            name=name,
            enabled=enabled,
            source=source,
            destination={"type": "queues.queue", "queue_id": queue_id},
            events=events,
            created_at=now,
            modified_at=now,
        )
        self.subscriptions[subscription.id] = subscription
        return subscription


def _next_month(date: datetime) -> datetime:
    month = date.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    # 31 days after the first of a month is always in the next one.
    return (month + timedelta(days=31)).replace(day=1)
