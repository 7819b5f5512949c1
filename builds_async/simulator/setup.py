"""Fills a simulated account: the half of `BuildsSimulator` that needs no server."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import count
from typing import TypedDict, Unpack

import msgspec

from builds_async.models.builds import BuildOutcome
from builds_async.session.clock import Clock
from builds_async.simulator.account import MAX_TRIGGERS
from builds_async.simulator.behavior import Behavior, TokenKind
from builds_async.simulator.build_details import BuildDetails, BuildOptions, Moment
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.deployment_setup import DeploymentSetup
from builds_async.simulator.events import EventFeed
from builds_async.simulator.queues import QueueDetails, QueueOptions, SimulatedQueue
from builds_async.simulator.records import BUILD_EVENTS, BUILDS_OF_WORKER, Preview, Worker
from builds_async.simulator.scripts import dead_token_script, finished_script


class TriggerOptions(TypedDict, total=False):
    """Options of `BuildsSimulator.add_trigger`. The defaults are those of the dashboard."""

    name: str
    """The name of the trigger."""
    branch_includes: Iterable[str]
    """The branches that the trigger builds; `*` stands for all."""
    branch_excludes: Iterable[str]
    """The branches that the trigger does not build, even if `branch_includes` has them."""
    build_command: str
    """The build command."""
    deploy_command: str
    """The deploy command."""
    environment_variables: Mapping[str, str | None]
    """The variables of builds by name; None as a value makes a secret."""


class AccountSetup(DeploymentSetup):
    """Adds Workers, builds, tokens and queues to a simulated account, and lists them."""

    @property
    def clock(self) -> Clock:
        """The clock of builds, of the rate limit and of slow responses."""
        return self._account.calendar.clock

    @property
    def account_id(self) -> str:
        """The id of the simulated account."""
        return self._account.account_id

    @property
    def behavior(self) -> Behavior:
        """The switches that the simulator was created with."""
        return self._account.behavior

    @property
    def workers(self) -> Mapping[str, str]:
        """The tag of each Worker by its name."""
        return self._account.workers

    @property
    def builds(self) -> Mapping[str, SimulatedBuild]:
        """Each build by its UUID, in the order in which they were added."""
        return self._account.builds

    @property
    def build_tokens(self) -> Mapping[str, str]:
        """The name of each build token by its UUID."""
        return {uuid: token.build_token_name for uuid, token in self._account.build_tokens.items()}

    @property
    def queues(self) -> Mapping[str, SimulatedQueue]:
        """Each queue by its id."""
        return self._account.queues

    def add_token(self, kind: TokenKind = TokenKind.FULL, token: str | None = None) -> str:
        """Accept another API token, with the permissions of its kind. Unknown tokens get 401 with 12006."""
        kind = TokenKind(kind)  # a misspelled kind would have every permission
        # Real prefixes, by which clients recognize the kind of a token.
        prefix = "cfat_" if kind == TokenKind.ACCOUNT_OWNED else "cfut_"
        token = self._account.ids.token(prefix) if token is None else token
        self._account.api_tokens[token] = kind
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
        """Add a Worker and return its tag, 32 hex characters. If the name exists, return the tag it has.

        The Worker gets a repository connection, a build token and a trigger for the branch `main`, unless
        `connected` is False. The list of Workers has it only if it is `deployed`. `tags` are free labels, by
        which the list can be filtered. With None, `name` or `tag` is a new one. ValueError if the name or the
        tag belongs to another Worker.
        """
        name = self._new_name() if name is None else name
        known = self._account.workers.get(name)
        if known is not None and tag in (None, known):
            return known
        tag = self._account.ids.tag() if tag is None else tag
        if known is not None or tag in self._account.scripts:
            raise ValueError(f"there is another Worker with the name {name!r} or the tag {tag!r}")
        worker = self._add_script(tag, name)
        worker.deployed, worker.tags = deployed, tuple(tags)
        if connected:
            self._account.next_trigger(worker)
        self._account.workers[name] = tag
        return tag

    def _new_name(self) -> str:
        names = (f"worker-{number}" for number in count(len(self.workers) + 1))
        return next(name for name in names if name not in self.workers)

    def _add_script(self, tag: str, name: str) -> Worker:
        now = self._account.now()
        worker = Worker(tag=tag, name=name, created_on=now, modified_on=now)
        self._account.scripts[tag] = worker
        return worker

    def add_trigger(self, external_script_id: str, **options: Unpack[TriggerOptions]) -> str:
        """Add the Worker's next trigger and return its UUID: the first for `main`, the second for the rest.

        ValueError if there is no such Worker, or if it has two triggers.
        """
        worker = self._worker(external_script_id)
        if len(worker.live_triggers) >= MAX_TRIGGERS:
            raise ValueError(f"the Worker {worker.name!r} has {MAX_TRIGGERS} triggers")
        trigger = self._account.next_trigger(worker)
        settings = trigger.settings
        trigger.trigger_name = options.get("name", trigger.trigger_name)
        trigger.branch_includes = list(options.get("branch_includes", trigger.branch_includes))
        trigger.branch_excludes = list(options.get("branch_excludes", trigger.branch_excludes))
        settings.build_command = options.get("build_command", settings.build_command)
        settings.deploy_command = options.get("deploy_command", settings.deploy_command)
        settings.variables = self._account.variables(options.get("environment_variables", {}))
        return trigger.trigger_uuid

    def add_preview(self, external_script_id: str, branch: str) -> str:
        """Add a Preview of a branch to a Worker, as a push would, and return its id.

        The id serves as a tag of its own: pass it as `external_script_id` to add builds of the Preview. The
        settings are copied from the base of the Worker's Previews, or from production if there is no base.
        ValueError if there is no such Worker, if it has no trigger, or if it has a Preview of the branch.
        """
        worker = self._worker(external_script_id)
        production, known = worker.production, self._account.previews_of(worker.tag)
        if production is None or any(preview.branch == branch for preview in known):
            raise ValueError(f"the Worker {worker.name!r} can't have a Preview of {branch!r}")
        # The first Preview creates the base of all later ones.
        if worker.previews_base is None:
            worker.previews_base = production.settings.copy()
            worker.previews_base.deploy_command = "npx wrangler preview"
        worker.previews_enabled = True
        script = self._add_script(self._account.ids.tag(), worker.name)
        script.parent = worker.tag
        trigger = self._account.add_trigger(
            script,
            production.connection,
            worker.previews_base.copy(),
            name="Preview",
            branch_includes=[branch],
            branch_excludes=[],
            listed=False,
        )
        self._account.previews[script.tag] = Preview(worker=script, trigger=trigger)
        return script.tag

    def add_deploy_hook(self, external_script_id: str, name: str = "nightly", branch: str = "main") -> str:
        """Add a deploy hook to a Worker and return its UUID. ValueError if there is no such Worker."""
        hook = self._account.add_hook(self._worker(external_script_id).tag, name, branch)
        return hook.deploy_hook_uuid

    def refuse_repository(self, provider_account_id: str, repo_id: str | None = None) -> None:
        """Refuse to connect a repository from now on, with 404 and 8000012.

        With None as `repo_id`, refuse all repositories of the account with 404 and 8000008, as if
        Cloudflare's app was not installed there.
        """
        self._account.refused_repositories.add((provider_account_id, repo_id))

    def set_limits(self, reached: bool | None, refresh_on: datetime | None = None) -> None:
        """Set whether the build minutes are used up, and when they are refilled.

        None for both is a paid plan. Builds are never refused.
        """
        self._account.minutes = (reached, refresh_on)

    def add_build(self, script: Iterable[Moment] = (), **options: Unpack[BuildOptions]) -> SimulatedBuild:
        """Add a build that is queued now and plays `script` on the clock.

        A script consists of pairs: seconds from now, and a str (a log line), a `BuildStatus`, or a
        `BuildOutcome`, which also stops a running build. Lines may come after the end. `build_script` returns
        a typical script. Without a script, the methods of the build drive it. ValueError if there is no
        Worker with the tag `external_script_id`, or if it has no trigger.
        """
        return self._add_build(BuildDetails(**options), script)

    def add_finished_build(
        self,
        lines: int | Iterable[str] = 20,
        outcome: BuildOutcome = BuildOutcome.SUCCESS,
        *,
        age: float = 3600.0,
        duration: float = 60.0,
        **options: Unpack[BuildOptions],
    ) -> SimulatedBuild:
        """Add a build that took `duration` seconds and stopped `age` seconds ago.

        The log is exactly `lines`, or that many numbered lines. ValueError as in `add_build`.
        """
        # The whole script is in the past, so the first reading plays all of it.
        created = self._account.now() - age - duration
        return self._add_build(BuildDetails(**options), finished_script(lines, outcome, duration), created)

    def _add_build(
        self, details: BuildDetails, script: Iterable[Moment], created: float | None = None
    ) -> SimulatedBuild:
        tag = self.add_worker() if details.external_script_id is None else details.external_script_id
        if tag not in self._account.scripts:
            raise ValueError(f"there is no Worker with the tag {tag!r}; add_worker() returns tags")
        details = msgspec.structs.replace(details, external_script_id=tag)
        return self._account.add_build(details, script, created)

    def roll_build_token(self, build_token_uuid: str) -> None:
        """Make a build token dead, as if the API token behind it was rolled. The API still lists it.

        Builds with it that are then started over the API fail after three lines. `add_dead_build` adds such a
        build. ValueError if there is no such build token: see `build_tokens`.
        """
        token = self._account.build_tokens.get(build_token_uuid)
        if token is None:
            raise ValueError(f"there is no build token {build_token_uuid!r}")
        token.is_dead = True

    def add_dead_build(self, *, age: float = 60.0, **options: Unpack[BuildOptions]) -> SimulatedBuild:
        """Add a build that failed `age` seconds ago because of a dead build token, and make its token dead.

        ValueError as in `add_build`.
        """
        script = dead_token_script()
        build = self._add_build(BuildDetails(**options), script, self._account.now() - age - script[-1][0])
        build.settings.token.is_dead = True
        return build

    def add_queue(self, name: str | None = None, **options: Unpack[QueueOptions]) -> str:
        """Add a queue with an HTTP pull consumer, subscribed to build events from now on; return its id.

        The subscription has the queue's name. Pulling and acknowledging need an API token that may write.
        ValueError if there is a queue with this name.
        """
        names = {queue.name for queue in self.queues.values()}
        if name is None:
            name = next(it for it in (f"queue-{number}" for number in count(1)) if it not in names)
        if name in names:
            raise ValueError(f"there is another queue with the name {name!r}")
        details = QueueDetails(**options)
        # The feed is created before the subscription, so that earlier changes of builds make no events.
        queue_id = self._account.ids.tag()
        feed = EventFeed(self._account, queue_id, details.words)
        self._account.queues[queue_id] = SimulatedQueue(
            queue_id, name, details, self._account.calendar, feed.news
        )
        if details.subscribed:
            worker = details.worker_name
            source = {"type": BUILDS_OF_WORKER} | ({} if worker is None else {"worker_name": worker})
            self._account.subscribe(name, source, queue_id, list(BUILD_EVENTS))
        return queue_id
