"""What a simulated account holds: Workers, builds and tokens. No I/O, no HTTP, no tasks."""

import itertools
from bisect import insort
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from builds_async.session.clock import Clock
from builds_async.simulator.behaviour import Behaviour, TokenKind
from builds_async.simulator.builds import BuildDetails, Moment, SimulatedBuild
from builds_async.simulator.identity import Calendar, Identities

if TYPE_CHECKING:
    from builds_async.simulator.queues import SimulatedQueue


class Repository(msgspec.Struct, frozen=True):
    """The trigger and the repository of a Worker, as far as builds show them."""

    tag: str
    name: str
    trigger_uuid: str
    connection_uuid: str
    token_uuid: str
    created: float


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
    ) -> None:
        if page_size < 1:
            raise ValueError("page_size must be positive")
        self.calendar: Final = Calendar(clock, epoch)
        self.behaviour: Final = behaviour
        self.identities: Final = Identities(seed)
        self.page_size: Final = page_size
        self.account_id: Final = account_id or self.identities.tag()
        self.tokens: Final[dict[str, TokenKind]] = {}
        self.key_pairs: Final[dict[str, str]] = {}
        self.builds: Final[dict[str, SimulatedBuild]] = {}
        self.workers: Final[dict[str, str]] = {}
        self.repositories: Final[dict[str, Repository]] = {}
        self.queues: Final[dict[str, SimulatedQueue]] = {}
        self._by_worker: dict[str, list[tuple[float, int, SimulatedBuild]]] = {}
        self._by_version: dict[str, SimulatedBuild] = {}

    def add_token(self, kind: TokenKind, token: str | None = None) -> str:
        """Let a token in, as what it is. None: a new one."""
        kind = TokenKind(kind)  # a wrong word would let it do everything
        prefix = "cfat_" if kind == TokenKind.ACCOUNT_OWNED else "cfut_"
        token = self.identities.token(prefix) if token is None else token
        self.tokens[token] = kind
        return token

    def add_worker(self, name: str | None = None, *, tag: str | None = None) -> str:
        """Add a Worker and give its tag. The name of an existing one gives that one's tag."""
        name = self._new_name() if name is None else name
        known = self.workers.get(name)
        if known is not None and tag in (None, known):
            return known
        tag = self.identities.tag() if tag is None else tag
        if known is not None or tag in self.repositories:
            raise ValueError(f"there is another Worker with the name {name!r} or the tag {tag!r}")
        trigger, connection, token = (self.identities.uuid() for _ in range(3))
        self.repositories[tag] = Repository(tag, name, trigger, connection, token, self.calendar.now())
        self.workers[name] = tag
        return tag

    def _new_name(self) -> str:
        names = (f"worker-{number}" for number in itertools.count(len(self.workers) + 1))
        return next(name for name in names if name not in self.workers)

    def add_build(
        self, details: BuildDetails, script: Iterable[Moment], created: float | None = None
    ) -> SimulatedBuild:
        """Add a build. What `details` leaves open is made up.

        Raises:
            ValueError: There is no Worker with that tag.
        """
        tag = self.add_worker() if details.external_script_id is None else details.external_script_id
        if tag not in self.repositories:
            raise ValueError(f"there is no Worker with the tag {tag!r}; add_worker() gives tags")
        details = msgspec.structs.replace(
            details,
            external_script_id=tag,
            version_id=details.version_id or self.identities.uuid(),
            commit_hash=self.identities.commit() if details.commit_hash is None else details.commit_hash,
        )
        build = SimulatedBuild(
            self.identities.uuid(),
            details,
            calendar=self.calendar,
            behaviour=self.behaviour,
            script=script,
            created=created,
        )
        self._file(build)
        return build

    def _file(self, build: SimulatedBuild) -> None:
        self.builds[build.build_uuid] = build
        self._by_version[build.version_id] = build
        if build.details.listed:
            builds = self._by_worker.setdefault(build.external_script_id, [])
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
