"""The messages of a queue, which are visible, leased, or delivered too often, and their leases."""

from collections.abc import Callable, Iterable, Mapping
from itertools import count, islice
from typing import NamedTuple


class Message:
    """A message in a queue, and its leases."""

    def __init__(self, number: int, message_id: str, body: object, moment: float) -> None:
        self.number = number
        self.id = message_id
        self.body = body
        self.moment = moment
        self.visible_at: float = moment
        self.attempts = 0
        self.leases: list[str] = []

    def lease(self, until: float) -> None:
        """Add a new lease; older ones can still acknowledge the message."""
        self.visible_at = until
        # Similar to real lease ids in length and number of dots.
        self.leases.append(f"eyJhbGciOiJkaXIifQ..{self.id}.{self.number}.{len(self.leases)}")

    def is_leased_by(self, lease_id: str, now: float) -> bool:
        """Whether this lease is the latest one and has not ended."""
        return self.leases[-1:] == [lease_id] and now < self.visible_at


class LeaseResult(NamedTuple):
    """The result of acknowledging, retrying or extending leases."""

    present: dict[str, str]
    """For each accepted lease, the current lease of its message; `""` if the message has none."""
    warnings: dict[str, str]
    """The reason for each rejected lease."""


class LeasedMessages:
    """The messages of a queue, oldest first. The time is passed in."""

    def __init__(self, max_retries: int) -> None:
        self.waiting: list[Message] = []
        """The messages that are not acknowledged, leased ones included."""
        self.dead: list[Message] = []
        """The messages that were delivered too often."""
        self._max_retries = max_retries
        self._numbers = count()

    def add(self, message_id: str, body: object, moment: float) -> None:
        """Add a message, visible at once."""
        self.waiting.append(Message(next(self._numbers), message_id, body, moment))

    def bury(self, now: float) -> None:
        """Move the visible messages that were delivered too often to the dead letters."""
        for message in tuple(self.waiting):
            # Not while it is leased: a consumer may still acknowledge the last delivery.
            if message.attempts > self._max_retries and message.visible_at <= now:
                self.waiting.remove(message)
                self.dead.append(message)

    def pull(self, batch_size: int, seconds: float, now: float) -> list[Message]:
        """Lease the oldest visible messages for `seconds`."""
        visible = (message for message in self.waiting if message.visible_at <= now)
        batch = list(islice(visible, batch_size))
        for message in batch:
            message.attempts += 1
            message.lease(now + seconds)
        return batch

    def ack(self, leases: Iterable[str]) -> LeaseResult:
        """Remove messages. Expired and replaced leases are accepted too."""
        found, warnings = self._find(leases, lambda _message, _lease: True)
        for message in found.values():
            self.waiting.remove(message)
        return LeaseResult(dict.fromkeys(found, ""), warnings)

    def retry(self, delays: Mapping[str, float], now: float) -> LeaseResult:
        """Make leased messages visible again, each after the delay of its lease, in seconds."""
        found, warnings = self._find(
            delays, lambda message, lease: message.visible_at <= now or message.is_leased_by(lease, now)
        )
        for lease, message in found.items():
            message.visible_at = now + delays[lease]
        return LeaseResult(dict.fromkeys(found, ""), warnings)

    def extend(self, leases: Iterable[str], seconds: float, now: float, *, renew: bool) -> LeaseResult:
        """Extend leases that have not ended. With `renew` each gets a new id that replaces the old one."""
        found, warnings = self._find(leases, lambda message, lease: message.is_leased_by(lease, now))
        for lease, message in found.items():
            message.visible_at = now + seconds
            if renew:
                message.lease(message.visible_at)
                message.leases.remove(lease)
        return LeaseResult({lease: message.leases[-1] for lease, message in found.items()}, warnings)

    def _find(
        self, leases: Iterable[str], fits: Callable[[Message, str], bool]
    ) -> tuple[dict[str, Message], dict[str, str]]:
        """The messages of the leases that fit, and a warning for each other lease.

        If several leases belong to one message, the last one counts.
        """
        by_lease = {lease: message for message in self.waiting for lease in message.leases}
        # Keyed by number, not by id: a duplicate has the id of its original.
        found: dict[int, tuple[str, Message]] = {}
        warnings = {}
        for lease in leases:
            message = by_lease.get(lease)
            if message is None:
                warnings[lease] = "there is no such lease"
            elif not fits(message, lease):
                warnings[lease] = "the lease has ended"
            else:
                found[message.number] = lease, message
        return dict(found.values()), warnings
