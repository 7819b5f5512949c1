"""The next request of a tail: which lookup, which follow-up, which log. No I/O and no clock.

Requests are the scarcest thing that a tail has: their order decides how far lines lag behind. The schedule
makes a choice only when the budget lets a request go, so the most urgent request of that moment goes first.
"""

import heapq
from collections.abc import Iterator
from math import inf, sqrt
from typing import TypeAlias

import msgspec

from builds_async.live.log_reader import QUEUED_INTERVAL
from builds_async.live.tracker import AT_ONCE

_DECAY = 0.98  # 1 / (1 - 0.98) = 50: the shares hold over about the last 50 requests
_QUEUED_SHARE = 1 / 3  # of the requests, for lookups of Workers with a queued build
_FOLLOW_UP_SHARE = 1 / 60
_LOG_WEIGHT = 2.5  # see `_lookup_share`, as for the next one
_BUSY_WEIGHT = 1 / 4
_SAFETY_SHARE = 1 / 16  # for lookups where events find the builds: lookups only find what events miss


class Lookup(msgspec.Struct, frozen=True):
    """Request the latest builds of these Workers."""

    tags: tuple[str, ...]


class FollowUp(msgspec.Struct, frozen=True):
    """Request the builds that the latest build of this Worker hides."""

    tag: str


class Single(msgspec.Struct, frozen=True):
    """Request this build."""

    build_uuid: str


class Log(msgspec.Struct, frozen=True):
    """Request the next page of this build's log."""

    build_uuid: str


Choice: TypeAlias = Lookup | FollowUp | Single | Log


class Schedule:
    """Chooses one of the requests that are due, in this order.

    1. Single builds that an event has named, then logs that have begun and were never requested, then
       follow-ups that a log depends on.
    2. Lookups of Workers with a queued build, for at most a third of the requests.
    3. Other lookups; while logs are due, only for the share of requests that `_lookup_share` computes.
    4. Other follow-ups, which search for missed builds. While anything else is due, they get at most 1
       request in 60.
    5. Logs, the one that has been due longest first.

    A chosen request is in flight, and is not chosen again until it is scheduled again. Choosing takes
    logarithmic time, however many Workers there are.
    """

    def __init__(self, interval: float, *, lookups_find: bool = True) -> None:
        self._interval = interval
        self._lookups_find = lookups_find
        # If events announce new builds, nothing waits for a lookup: queued builds need no shorter interval.
        self._queued_every = min(QUEUED_INTERVAL, interval) if lookups_find else interval
        self._workers = _Due()  # Workers without a queued build
        self._queued = _Due()
        self._tags: set[str] = set()
        self._logs = _Due()
        self._polled: set[str] = set()  # logs that may be requested, in flight or not
        self._openings: dict[str, None] = {}
        self._singles: dict[str, None] = {}
        self._singles_again = _Due()
        self._urgent: dict[str, None] = {}  # follow-ups
        self._follow_ups: dict[str, None] = {}
        self._followed: set[str] = set()  # Workers whose follow-up is in flight
        # Requests of each kind, weighted: the last one counts 1, the one before `_DECAY`, and so on.
        self._lookups = self._queued_lookups = self._follow_up_count = self._total = 0.0

    def add_worker(self, tag: str, due: float) -> None:
        """Look up a Worker from the moment `due` on."""
        self._tags.add(tag)
        self._workers.set(tag, due)

    def remove_worker(self, tag: str) -> None:
        """Stop looking up a Worker."""
        self._tags.discard(tag)
        self._workers.discard(tag)
        self._queued.discard(tag)
        for follow_ups in (self._urgent, self._follow_ups):
            follow_ups.pop(tag, None)

    def looked_up(self, tag: str, requested_at: float, *, queued: bool) -> None:
        """Schedule the next lookup of a Worker. `queued`: whether its latest build is queued."""
        if tag in self._tags:
            every = self._queued_every if queued else self._interval
            (self._queued if queued else self._workers).set(tag, requested_at + every)

    def add_follow_up(self, tag: str, *, urgent: bool = False) -> None:
        """A lookup of this Worker needs a follow-up. `urgent`: a log depends on it."""
        if urgent:
            self._follow_ups.pop(tag, None)
            self._urgent[tag] = None
        elif tag not in self._urgent:
            self._follow_ups[tag] = None

    def followed_up(self, tag: str) -> None:
        """The follow-up of this Worker is over: another one may begin."""
        self._followed.discard(tag)

    def add_single(self, build_uuid: str) -> None:
        """Request a single build as soon as possible."""
        self._singles[build_uuid] = None

    def set_single(self, build_uuid: str, due: float) -> None:
        """Request a single build again when it is due."""
        self._singles_again.set(build_uuid, due)

    def open_log(self, build_uuid: str) -> None:
        """Request a log that has begun and was never requested, as soon as possible."""
        self._polled.add(build_uuid)
        self._openings[build_uuid] = None

    def set_log(self, build_uuid: str, due: float) -> None:
        """Request a log when it is due."""
        self._polled.add(build_uuid)
        self._openings.pop(build_uuid, None)
        self._logs.set(build_uuid, due)

    def hold_log(self, build_uuid: str) -> None:
        """Do not request a log until `open_log` or `set_log` schedules it again."""
        self._polled.discard(build_uuid)
        self._openings.pop(build_uuid, None)
        self._logs.discard(build_uuid)

    @property
    def polled(self) -> int:
        """How many logs may be requested, in flight or not."""
        return len(self._polled)

    def next_due(self, now: float) -> float:
        """When a request can be chosen; infinity if none can before one in flight has ended."""
        if self._openings or self._singles:
            return now
        if self._next_of(self._urgent) is not None or self._next_of(self._follow_ups) is not None:
            return now
        return min(self._workers.first, self._queued.first, self._logs.first, self._singles_again.first)

    def choose(self, now: float) -> Choice | None:
        """The request that matters most now; None if nothing is due."""
        choice = self._next_choice(now)
        if choice is not None:
            self._count(choice)
        return choice

    def _next_choice(self, now: float) -> Choice | None:
        if self._singles or self._singles_again.first <= now:
            return Single(_popped(self._singles) if self._singles else self._singles_again.pop())
        if self._openings:
            return Log(_popped(self._openings))
        if (urgent := self._next_of(self._urgent)) is not None:
            return self._take_follow_up(urgent)
        log_waits = self._logs.first <= now
        may_look_up = self._queued.first <= now and self._queued_lookups <= _QUEUED_SHARE * self._total
        if min(self._queued.first, self._workers.first) <= now:
            may_look_up = may_look_up or not log_waits or self._lookups <= self._lookup_share * self._total
        follow_up = self._next_of(self._follow_ups)
        # Follow-ups take their small share first: behind lookups and logs, which are nearly always due in a
        # large account, they would never be sent.
        if follow_up is not None and (
            self._follow_up_count < _FOLLOW_UP_SHARE * self._total or not (may_look_up or log_waits)
        ):
            return self._take_follow_up(follow_up)
        if may_look_up:
            return self._next_lookup(now)
        return Log(self._logs.pop()) if log_waits else None

    @property
    def _lookup_share(self) -> float:
        """The share of the requests that lookups get while logs are due.

        Let a pass over all Workers take C lookups, let N logs be open, and let lookups get the share s of R
        requests per second. On average a new build is found after C / (s R) / 2 seconds, and a new line after
        N / ((1 - s) R) / 2. The sum of the two, lines weighted by w, is least for s : (1 - s) = sqrt(C) :
        sqrt(w N). Each line waits for a poll, but only the lines that a build writes before it is found wait
        for a lookup: hence sqrt(w) = 2.5. A Worker with a running build rarely begins another, so it counts
        a quarter.
        """
        if not self._lookups_find:
            return _SAFETY_SHARE
        logs = len(self._polled)
        lookups = sqrt(max(1, len(self._tags) - (1 - _BUSY_WEIGHT) * logs) / AT_ONCE)
        return lookups / (lookups + _LOG_WEIGHT * sqrt(max(1, logs)))

    def _next_lookup(self, now: float) -> Lookup:
        """A lookup of up to twenty Workers, at the cost of one: those that are due, then those due soon."""
        is_queued = self._queued.first <= now
        tags = [*self._queued.take(AT_ONCE, until=now)]
        tags += self._workers.take(AT_ONCE - len(tags), until=now)
        if is_queued:
            self._queued_lookups += 1
        tags += self._queued.take(AT_ONCE - len(tags), until=inf)
        tags += self._workers.take(AT_ONCE - len(tags), until=now + self._interval / 2)
        return Lookup(tuple(tags))

    def _next_of(self, follow_ups: dict[str, None]) -> str | None:
        return next((tag for tag in follow_ups if tag not in self._followed), None)

    def _take_follow_up(self, tag: str) -> FollowUp:
        for follow_ups in (self._urgent, self._follow_ups):
            follow_ups.pop(tag, None)
        self._followed.add(tag)
        return FollowUp(tag)

    def _count(self, choice: Choice) -> None:
        self._lookups = self._lookups * _DECAY + isinstance(choice, Lookup)
        self._follow_up_count = self._follow_up_count * _DECAY + isinstance(choice, FollowUp)
        self._queued_lookups *= _DECAY
        self._total = self._total * _DECAY + isinstance(choice, Lookup | Log)


class _Due:
    """A queue of keys, ordered by the moment at which they are due.

    A heap can't remove or move an entry. So `_due` has the valid moment of each key, and entries of the heap
    that differ from it are skipped when they come to the front.
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._count = 0  # keys of the same moment keep their order

    def set(self, key: str, due: float) -> None:
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))
        # Rebuilt when more than half of it is stale: that costs no more than the pushes did, and bounds it.
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [it for it in self._heap if self._due.get(it[2]) == it[0]]
            heapq.heapify(self._heap)

    def discard(self, key: str) -> None:
        self._due.pop(key, None)

    @property
    def first(self) -> float:
        """The moment of the first one; infinity if there is none."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else inf

    def pop(self) -> str:
        """Remove and return the first key."""
        key = self._heap[0][2] if self.first < inf else ""  # `first` drops stale entries from the front
        del self._due[key]
        return key

    def take(self, most: int, *, until: float) -> Iterator[str]:
        """Remove and return at most `most` keys that are due until then, the first ones first."""
        for _ in range(most):
            if self.first <= until and self._heap:
                yield self.pop()


def _popped(keys: dict[str, None]) -> str:
    key = next(iter(keys))
    del keys[key]
    return key
