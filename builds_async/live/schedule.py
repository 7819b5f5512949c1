"""What a tail requests next: which lookup, which follow-up, which log. No I/O and no clock.

Requests are what a tail has least of, so the order in which they are spent decides how far lines lag behind.
A choice is made only when the budget lets a request go: what is urgent by then goes first, and waits behind
nothing.
"""

import heapq
from collections.abc import Iterator
from math import inf, sqrt
from typing import NamedTuple, TypeAlias

from builds_async.live.tracker import AT_ONCE

QUEUED_EVERY = 2.5
"""Seconds between two lookups of a Worker whose latest build is queued: its start is seen within 3 s."""

_DECAY = 0.98  # the shares hold over the last 50 requests or so
_QUEUED_SHARE = 1 / 3
_FOLLOW_UP_SHARE = 1 / 60
_LOG_WEIGHT = 2.5
_BUSY_WEIGHT = 1 / 4
_SAFETY_SHARE = 1 / 16


class Lookup(NamedTuple):
    """Ask for the latest builds of these Workers."""

    tags: tuple[str, ...]


class FollowUp(NamedTuple):
    """Ask for what the latest build of this Worker hides."""

    tag: str


class Single(NamedTuple):
    """Ask for this build."""

    build_uuid: str


class Log(NamedTuple):
    """Ask for the next page of this build's log."""

    build_uuid: str


Choice: TypeAlias = Lookup | FollowUp | Single | Log


class Schedule:
    """Decides between the requests that are due.

    1. Single builds that an event has named, logs that are known to have begun and were never requested, and
       follow-ups that a log depends on.
    2. Lookups of Workers with a queued build, for at most a third of the requests.
    3. Other lookups, in the proportion that `_lookup_share` explains while logs are waiting.
    4. Other follow-ups, which look for builds that were missed, for at most 1 request in 40 while anything
    else is waiting, and never for none.
    5. Logs, the longest due first.

    Whatever was chosen is under way, and not chosen again, until it is scheduled anew. Choosing takes
    logarithmic time, however many Workers there are.
    """

    def __init__(self, interval: float, *, lookups_find: bool = True) -> None:
        self._interval = interval
        self._lookups_find = lookups_find
        # Where events find what has begun, nothing waits for a lookup.
        self._queued_every = min(QUEUED_EVERY, interval) if lookups_find else interval
        self._workers = _Due()  # Workers without a queued build
        self._queued = _Due()
        self._tags: set[str] = set()
        self._logs = _Due()
        self._polled: set[str] = set()  # logs that may be requested, under way or not
        self._openings: dict[str, None] = {}
        self._singles: dict[str, None] = {}
        self._urgent: dict[str, None] = {}  # follow-ups
        self._follow_ups: dict[str, None] = {}
        self._followed: set[str] = set()  # Workers whose follow-up is in flight
        # Requests of each kind, the recent ones counting most.
        self._lookups = self._queued_lookups = self._follow_up_count = self._total = 0.0

    def add_worker(self, tag: str, due: float) -> None:
        """Lookup at a Worker from then on."""
        self._tags.add(tag)
        self._workers.set(tag, due)

    def remove_worker(self, tag: str) -> None:
        """Lookup at a Worker no longer."""
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
        """Ask for a build by itself, as soon as possible."""
        self._singles[build_uuid] = None

    def open_log(self, build_uuid: str) -> None:
        """A log has begun and was never requested."""
        self._polled.add(build_uuid)
        self._openings[build_uuid] = None

    def set_log(self, build_uuid: str, due: float) -> None:
        """Ask for a log when it is due."""
        self._polled.add(build_uuid)
        self._openings.pop(build_uuid, None)
        self._logs.set(build_uuid, due)

    def hold_log(self, build_uuid: str) -> None:
        """Do not ask for a log until further notice."""
        self._polled.discard(build_uuid)
        self._openings.pop(build_uuid, None)
        self._logs.discard(build_uuid)

    def next_due(self, now: float) -> float:
        """When there is something to choose; infinity if not before something under way is over."""
        if self._openings or self._singles:
            return now
        if self._next_of(self._urgent) is not None or self._next_of(self._follow_ups) is not None:
            return now
        return min(self._workers.first, self._queued.first, self._logs.first)

    def choose(self, now: float) -> Choice | None:
        """The request that matters most now; None if nothing is due."""
        choice = self._chosen(now)
        if choice is not None:
            self._count(choice)
        return choice

    def _chosen(self, now: float) -> Choice | None:
        if self._singles:
            return Single(_popped(self._singles))
        if self._openings:
            return Log(_popped(self._openings))
        if (urgent := self._next_of(self._urgent)) is not None:
            return self._take_follow_up(urgent)
        log_waits = self._logs.first <= now
        look = self._queued.first <= now and self._queued_lookups <= _QUEUED_SHARE * self._total
        if min(self._queued.first, self._workers.first) <= now:
            look = look or not log_waits or self._lookups <= self._lookup_share * self._total
        follow_up = self._next_of(self._follow_ups)
        if follow_up is not None and (
            self._follow_up_count < _FOLLOW_UP_SHARE * self._total or not (look or log_waits)
        ):
            return self._take_follow_up(follow_up)
        if look:
            return self._next_lookup(now)
        return Log(self._logs.pop()) if log_waits else None

    @property
    def _lookup_share(self) -> float:
        """The part of the requests that lookups get while logs are waiting.

        With C lookups to a pass over all Workers and N logs, let lookups have the part s of R requests per s.
        A new build is found after C / (s R) / 2 seconds on average, and a line after N / ((1 - s) R) / 2.
        The sum of the two, lines weighted by w, is least where s : (1 - s) = sqrt(C) : sqrt(w N). Each line
        waits for a poll, but only those that a build writes before it is found wait for a lookup: hence
        sqrt(w) = 2.5. Few Workers begin a build while they have one, so those count a quarter.
        """
        if not self._lookups_find:
            return _SAFETY_SHARE
        logs = len(self._polled)
        looks = sqrt(max(1, len(self._tags) - (1 - _BUSY_WEIGHT) * logs) / AT_ONCE)
        return looks / (looks + _LOG_WEIGHT * sqrt(max(1, logs)))

    def _next_lookup(self, now: float) -> Lookup:
        """A lookup of twenty Workers, for it costs the same: those that are due, then those due soon."""
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
    """Keys by the moment at which they are due."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._count = 0  # equals keep their order

    def set(self, key: str, due: float) -> None:
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))
        if len(self._heap) > 2 * len(self._due) + 64:  # too many that were set anew or discarded
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
        """Take out the first one."""
        key = self._heap[0][2] if self.first < inf else ""
        del self._due[key]
        return key

    def take(self, most: int, *, until: float) -> Iterator[str]:
        """Take out the first ones, at most `most`, of those that are due until then."""
        for _ in range(most):
            if self.first <= until and self._heap:
                yield self.pop()


def _popped(keys: dict[str, None]) -> str:
    key = next(iter(keys))
    del keys[key]
    return key
