"""One member of a group: it sends heartbeats, and takes and gives up Workers as the responses say."""

import asyncio
import hashlib
import logging
import os
import secrets
from collections.abc import Callable, Collection, Iterable

from builds_async.errors import BuildsError, ConfigurationError
from builds_async.fleet.engine import EngineError
from builds_async.fleet.group import Beat, Dead, Group, Standing
from builds_async.fleet.shares import FleetShare

logger: logging.Logger = logging.getLogger("builds_async")

SURE = 0.8
"""The part of a lease for which a member delivers lines.

It counts from before the heartbeat was sent. So a member stops before its lease ends in the engine, which
lets another member take over, even if its clock is slower by a fifth.
"""

MOST = 50
"""The maximum number of Workers that a member takes with one heartbeat. The next one follows at once."""

_BEATS_PER_LEASE = 4
_SHORTEST_PAUSE = 0.02  # seconds between two heartbeats


class Member:
    """One process in a group: it renews its lease, takes free Workers, and gives up those beyond its share.

    A lost response needs no repair. Each heartbeat lists the Workers that this member follows, and the engine
    assigns it once more those that it has but doesn't list.
    """

    def __init__(self, group: Group, *, label: str, name: str, lease: float) -> None:
        self.held: dict[str, int] = {}
        """The Workers that this member has, with their fences."""

        self.leaving: set[str] = set()
        """Those of them that it has to give up, because other members wait for them."""

        self.members: tuple[str, ...] = ()
        """The members that were alive at the last heartbeat."""

        self.failure: BuildsError | None = None
        """The error that ended the membership for good."""

        self.handed_over: asyncio.Event = asyncio.Event()
        """Set once this member is leaving and has given up its last Worker."""

        self._group = group
        self._label = label
        self._name = name
        self._lease = lease
        self._clock = group.clock
        self._incarnation = ""
        self._is_known = False  # whether the engine knows which Workers we want
        self._version = 0  # of the response that `held` is from; 0 after any other change
        self._is_as_sent = False  # whether nothing was dropped since the heartbeat in flight was sent
        self._sure_until = -1.0
        self._shares: list[FleetShare] = []
        self._is_leaving = self._has_ended = False
        self._is_out = False  # whether the engine is out of reach
        self._news = asyncio.Event()

    @property
    def is_sure(self) -> bool:
        """Whether the lease still holds, so that no other member can have the Workers in `held`."""
        return self._clock.now() < self._sure_until

    # Called by shares.

    def share(self, keys: Iterable[str], on_change: Callable[[], None]) -> FleetShare:
        """Take part in following these Workers."""
        share = FleetShare(self, keys, on_change)
        for other in self._shares:
            if both := share.keys & other.keys:
                raise ValueError(
                    f"this member follows {min(both)!r} already, in another loop over the same fleet"
                )
        if self._has_ended:
            share.ended = True
            return share
        self._shares.append(share)
        self.update()
        return share

    def update(self) -> None:
        """List all wanted Workers in the next heartbeat, which is due now: those of a share have changed."""
        self._is_known = False
        self._news.set()

    def forget(self, share: FleetShare) -> None:
        """Remove a share that has ended."""
        if share in self._shares:
            self._shares.remove(share)
            self.update()

    async def give_up(self, keys: Collection[str]) -> None:
        """Release Workers. If that fails, the next heartbeat brings them back, to be given up again."""
        given = {key: self.held[key] for key in keys if key in self.held}
        self._drop(given)
        if given and self._incarnation:
            try:
                await self._group.release(self._incarnation, given)
            except EngineError as error:
                logger.debug("%s", str(error))

    def wake(self) -> None:
        """Send the next heartbeat now: members or free Workers have changed."""
        self._news.set()

    def start_leaving(self) -> None:
        """Give up all Workers, each at its next commit, and take no others."""
        if not self._is_leaving:
            self._is_leaving = True
            self.leaving = set(self.held)
            self._changed()
            if not self.held:
                self.handed_over.set()

    async def end(self) -> None:
        """Leave the group at once. Call it after `run` was canceled."""
        self._has_ended = True
        self._drop(tuple(self.held))
        for share in tuple(self._shares):
            share.end()
        self.members = ()
        try:
            if self._incarnation:
                await self._group.leave(self._incarnation)
        except BuildsError as error:
            logger.warning("%s; others take over when the lease ends", str(error))

    # The heartbeat.

    async def run(self) -> None:
        """Send heartbeats until canceled."""
        pause = 0.0
        while self.failure is None:
            await self._sleep(pause)
            self._news.clear()
            try:
                pause = await self._beat()
            except EngineError as error:
                self._note_outage(error)
                pause = self._lease / _BEATS_PER_LEASE / 2  # sooner, while the lease still holds
            except BuildsError as error:
                self.failure = error
                self._changed()
            else:
                self._note_outage(None)

    async def _sleep(self, pause: float) -> None:
        """Wait until the next heartbeat is due, or until something has changed."""
        # First without listening to news: a burst of changes must not cause a burst of heartbeats.
        await self._clock.sleep(min(pause, _SHORTEST_PAUSE))
        if pause <= _SHORTEST_PAUSE or self._news.is_set():
            return
        alarm = asyncio.create_task(self._clock.sleep(pause - _SHORTEST_PAUSE))
        alarm.add_done_callback(lambda _: self._news.set())
        try:
            await self._news.wait()
        finally:
            alarm.cancel()

    async def _beat(self) -> float:
        """Send a heartbeat and act on the response; return the seconds until the next one."""
        wanted = sorted(key for share in self._shares for key in share.keys)
        if not wanted:
            if self._incarnation:
                await self._group.leave(self._incarnation)
                self._incarnation, self.members = "", ()
            return self._lease / _BEATS_PER_LEASE
        if not self._incarnation:
            self._incarnation = f"{self._name or os.getpid()}#{secrets.token_hex(4)}"
            self._is_known = False
        asked = self._clock.now()
        names_workers = not self._is_known
        version = 0 if names_workers else self._version
        # Set before the call: `update` and `_drop` may reset them while the call is in flight.
        self._is_known = self._is_as_sent = True
        self._version = 0
        beat = Beat(
            member=self._incarnation,
            name=self._name,
            lease=self._lease,
            digest=hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16],
            most=0 if self._is_leaving else MOST,
            follows=None if version else dict(self.held),
            version=version,
            workers=wanted if names_workers else None,
        )
        try:
            answer = await self._group.beat(beat)
        except BuildsError:
            self._is_known = self._is_known and not names_workers
            raise
        if isinstance(answer, Standing):
            return await self._take_standing(answer, asked)
        self._is_known = False
        if isinstance(answer, Dead):
            self._die(superseded=answer.superseded)
        return 0.0

    async def _take_standing(self, answer: Standing, asked: float) -> float:
        was_sure = self.is_sure
        self._sure_until, self.members = asked + SURE * self._lease, answer.members
        version = answer.version if self._is_as_sent else 0
        self._drop(answer.gone)
        self.held |= answer.taken
        self._version = version
        excess = len(self.held) if self._is_leaving else answer.excess
        # The Workers that were taken last have the highest fences, and leave first.
        leaving = set(sorted(self.held, key=lambda key: -self.held[key])[: max(0, excess)])
        if answer.taken or leaving != self.leaving or not was_sure:
            self.leaving = leaving
            self._changed()
        wanted = {key for share in self._shares for key in share.keys}
        if unwanted := answer.taken.keys() - wanted:  # they were removed while the heartbeat was in flight
            await self.give_up(unwanted)
        if len(answer.taken) >= MOST:
            return 0.0
        pause = self._lease / _BEATS_PER_LEASE
        # Just after the lease of another member ends, so that its Workers are taken over soon.
        return min(pause, answer.lapse + _SHORTEST_PAUSE) if answer.lapse else pause

    def _die(self, *, superseded: bool) -> None:
        if superseded:
            self.failure = ConfigurationError(
                f"another process has joined the group {self._label!r} as {self._name!r}: give each member a"
                " name of its own, or none"
            )
        else:
            logger.warning(
                "this member's lease in the fleet %s ended, after a pause or an outage; it joins again",
                self._label,
            )
        self._incarnation, self.members, self._sure_until = "", (), -1.0
        self._drop(tuple(self.held))
        self._changed()

    def _drop(self, keys: Iterable[str]) -> None:
        dropped = [key for key in keys if self.held.pop(key, None) is not None]
        self.leaving.difference_update(dropped)
        if dropped:
            self._version, self._is_as_sent = 0, False
            self._changed()
        if not self.held and self._is_leaving:
            self.handed_over.set()

    def _changed(self) -> None:
        for share in tuple(self._shares):
            share.changed()

    def _note_outage(self, error: EngineError | None) -> None:
        if error is not None and not self._is_out:
            logger.warning(
                "%s; if this lasts for four fifths of a lease, delivery stops until the engine is back",
                str(error),
            )
        elif error is None and self._is_out:
            logger.info("the engine of the fleet %s works again", self._label)
        self._is_out = error is not None
