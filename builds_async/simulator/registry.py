"""What builds are made with: an account's build tokens, connections and triggers, and what hangs on them."""

from collections import deque
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from builds_async.simulator.identity import Calendar, Identities
from builds_async.simulator.records import (
    BuildToken,
    Connection,
    DeployHook,
    Json,
    Preview,
    Settings,
    Subscription,
    Trigger,
    Variable,
    Worker,
)

_FIRST_REPOSITORY: Final = 100200300


class Registry:
    """The configuration of Workers Builds. It checks nothing: whoever asks for a change has done that."""

    def __init__(self, calendar: Calendar, identities: Identities) -> None:
        self._calendar = calendar
        self._identities = identities
        self._connected: dict[tuple[str, str, str], Connection] = {}
        self.tokens: Final[dict[str, BuildToken]] = {}
        self.connections: Final[dict[str, Connection]] = {}
        self.triggers: Final[dict[str, Trigger]] = {}
        self.previews: Final[dict[str, Preview]] = {}
        self.hooks: Final[dict[str, DeployHook]] = {}
        self.subscriptions: Final[dict[str, Subscription]] = {}
        self.hook_builds: Final[deque[tuple[float, str]]] = deque(maxlen=1000)
        """When which Worker got a build from a hook."""
        self.refused: Final[set[tuple[str, str | None]]] = set()
        """Accounts of a provider (with None) and repositories that can't be connected."""

    def add_token(self, name: str, cloudflare_token_id: str | None = None) -> BuildToken:
        """Register a build token. None: a new API token."""
        uuid = self._identities.uuid()
        made_up = UUID(uuid).hex
        token = BuildToken(
            build_token_uuid=uuid,
            build_token_name=name,
            cloudflare_token_id=made_up if cloudflare_token_id is None else cloudflare_token_id,
        )
        self.tokens[uuid] = token
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
        """The connection of a repository: the one that there is, with the new names, or a new one."""
        repo_id = str(_FIRST_REPOSITORY + len(self._connected)) if repo_id is None else repo_id
        now = self._calendar.now()
        known = self.connection_of(provider_type, provider_account_id, repo_id)
        if known is not None:
            known.repo_name, known.provider_account_name = repo_name, provider_account_name
            known.modified = now
            return known
        connection = Connection(
            repo_connection_uuid=self._identities.uuid(),
            repo_id=repo_id,
            repo_name=repo_name,
            provider_account_id=provider_account_id,
            provider_account_name=provider_account_name,
            provider_type=provider_type,
            grant_id=grant_id,
            created=now,
            modified=now,
        )
        self.connections[connection.repo_connection_uuid] = connection
        self._connected[provider_type, provider_account_id, repo_id] = connection
        return connection

    def connection_of(self, provider_type: str, account_id: str, repo_id: str) -> Connection | None:
        """The connection of a repository, if it is connected."""
        connection = self._connected.get((provider_type, account_id, repo_id))
        return connection if connection is not None and connection.deleted is None else None

    def disconnect(self, connection: Connection) -> None:
        """Delete a connection; triggers still show it."""
        del self.connections[connection.repo_connection_uuid]
        connection.deleted = connection.modified = self._calendar.now()

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
        """Give a Worker another trigger. Those of Previews are not `listed`, and can't be asked for."""
        now = self._calendar.now()
        trigger = Trigger(
            trigger_uuid=self._identities.uuid(),
            external_script_id=worker.tag,
            trigger_name=name,
            branch_includes=branch_includes,
            branch_excludes=branch_excludes,
            connection=connection,
            settings=settings,
            created=now,
            modified=now,
        )
        if listed:
            worker.triggers.append(trigger)
            self.triggers[trigger.trigger_uuid] = trigger
        return trigger

    def first_trigger(self, worker: Worker) -> Trigger:
        """Connect a repository named as the Worker, with a token and a trigger for its branch `main`."""
        return self.add_trigger(
            worker,
            self.connect(repo_name=worker.name),
            Settings(
                build_command="npm run build",
                deploy_command="npx wrangler deploy",
                token=self.add_token("Workers Builds"),
            ),
            name="Deploy default branch",
            branch_includes=["main"],
            branch_excludes=[],
        )

    def next_trigger(self, worker: Worker) -> Trigger:
        """The trigger that the dashboard would make next: of `main`, or of all other branches."""
        production = worker.production
        if production is None:
            return self.first_trigger(worker)
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

    def remove_trigger(self, trigger: Trigger) -> None:
        """Delete a trigger; builds still show it."""
        del self.triggers[trigger.trigger_uuid]
        trigger.deleted = trigger.modified = self._calendar.now()

    def variables(self, values: Mapping[str, str | None]) -> dict[str, Variable]:
        """Variables of now; None is a secret."""
        now = self._calendar.now()
        return {
            name: Variable(value=value or "", is_secret=value is None, created=now)
            for name, value in values.items()
        }

    def add_hook(self, tag: str, name: str, branch: str) -> DeployHook:
        """Give a Worker a deploy hook."""
        now = self._calendar.now()
        hook = DeployHook(
            deploy_hook_uuid=self._identities.uuid(),
            deploy_hook_name=name,
            branch=branch,
            external_script_id=tag,
            created=now,
            modified=now,
        )
        self.hooks[hook.deploy_hook_uuid] = hook
        return hook

    def subscribe(
        self, name: str, source: Json, queue_id: str, events: list[str], *, enabled: bool = True
    ) -> Subscription:
        """Subscribe a queue to events from now on."""
        now = self._calendar.now()
        subscription = Subscription(
            id=self._identities.tag(),
            name=name,
            enabled=enabled,
            source=source,
            destination={"type": "queues.queue", "queue_id": queue_id},
            events=events,
            created=now,
            modified=now,
        )
        self.subscriptions[subscription.id] = subscription
        return subscription
