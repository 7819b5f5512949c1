"""Messages of a queue and their leases: which are visible, leased, or delivered too often."""

from collections.abc import Callable, Iterable, Mapping
from itertools import count, islice
from typing import NamedTuple


class Message:
    """A message in a queue, with its leases."""

    def __init__(self, number: int, message_id: str, body: object, moment: float) -> None:
        self.number = number
        self.id = message_id
        self.body = body
        self.moment = moment
        self.visible_at: float = moment
        self.attempts = 0
        self.leases: list[str] = []

    def lease(self, until: float) -> None:
        """Give it a new lease; the older ones stay good for acknowledging it."""
        self.visible_at = until
        # As long, and with as many dots, as real ones.
        self.leases.append(f"eyJhbGciOiJkaXIifQ..{self.id}.{self.number}.{len(self.leases)}")

    def is_leased_by(self, lease_id: str, now: float) -> bool:
        """Whether this lease is its last one and has not ended."""
        return self.leases[-1:] == [lease_id] and now < self.visible_at


class Leases(NamedTuple):
    """What became of some leases."""

    present: dict[str, str]
    """The lease that its message has now, by each accepted one; empty for a message that has none."""
    warnings: dict[str, str]
    """What is wrong with each of the others."""


class LeasedMessages:
    """The messages of a queue, oldest first. Time is an argument."""

    def __init__(self, max_retries: int) -> None:
        self.waiting: list[Message] = []
        """Messages that are not acknowledged, leased ones included."""
        self.dead: list[Message] = []
        """Messages that were delivered too often."""
        self._max_retries = max_retries
        self._numbers = count()

    def add(self, message_id: str, body: object, moment: float) -> None:
        """Add a message, visible at once."""
        self.waiting.append(Message(next(self._numbers), message_id, body, moment))

    def bury(self, now: float) -> None:
        """Move the visible messages that were delivered too often to the dead letters."""
        for message in tuple(self.waiting):
            # Only once it is visible again: a consumer may still acknowledge its last delivery.
            if message.attempts > self._max_retries and message.visible_at <= now:
                self.waiting.remove(message)
                self.dead.append(message)

    def pull(self, batch_size: int, seconds: float, now: float) -> list[Message]:
        """Lease the oldest visible messages for some seconds."""
        visible = (message for message in self.waiting if message.visible_at <= now)
        batch = list(islice(visible, batch_size))
        for message in batch:
            message.attempts += 1
            message.lease(now + seconds)
        return batch

    def ack(self, leases: Iterable[str]) -> Leases:
        """Remove messages. Late leases are accepted, former ones too."""
        found, warnings = self._find(leases, lambda _message, _lease: True)
        for message in found.values():
            self.waiting.remove(message)
        return Leases(dict.fromkeys(found, ""), warnings)

    def retry(self, delays: Mapping[str, float], now: float) -> Leases:
        """Make leased messages visible again, each after the seconds of its lease."""
        found, warnings = self._find(
            delays, lambda message, lease: message.visible_at <= now or message.is_leased_by(lease, now)
        )
        for lease, message in found.items():
            message.visible_at = now + delays[lease]
        return Leases(dict.fromkeys(found, ""), warnings)

    def extend(self, leases: Iterable[str], seconds: float, now: float, *, renew: bool) -> Leases:
        """Extend leases that have not ended. With `renew` each gets a new id, and the old one is unknown."""
        found, warnings = self._find(leases, lambda message, lease: message.is_leased_by(lease, now))
        for lease, message in found.items():
            message.visible_at = now + seconds
            if renew:
                message.lease(message.visible_at)
                message.leases.remove(lease)
        return Leases({lease: message.leases[-1] for lease, message in found.items()}, warnings)

    def _find(
        self, leases: Iterable[str], fits: Callable[[Message, str], bool]
    ) -> tuple[dict[str, Message], dict[str, str]]:
        """The messages of the leases that fit, and a warning for each other lease.

        Of several leases of one message the last one counts.
        """
        by_lease = {lease: message for message in self.waiting for lease in message.leases}
        # By the number of the message, which a duplicate does not share with its original.
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
