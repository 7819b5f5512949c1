"""The counters of one member of a shared budget: the tokens it has and the requests it has sent."""

import msgspec

BLOCK = 50
"""The most tokens of each kind that a member has. If it is killed, they are lost for one window."""


class Tokens(msgspec.Struct, kw_only=True):
    """The requests that a member may send, and those that it has sent."""

    singles: int = 0
    """Tokens for single calls."""

    polls: int = 0
    """Tokens for polls. A single call takes one of them if there are no others."""

    valid_until: float = 0.0
    """When the tokens expire here. The engine counts them for longer, so an expired token is never used."""

    in_flight: int = 0
    """Requests in flight."""

    total: int = 0
    """Requests that have ended: with a response, an error or a cancellation."""

    reported: int = 0
    """The `total` that was reported to the engine last."""

    used_singles: int = 0
    """Single calls since the last `drop_idle`."""

    used_polls: int = 0
    """Polls since the last `drop_idle`."""

    low_singles: int = 0
    """The number of tokens for single calls at which more are requested."""

    low_polls: int = 0
    """The number of tokens for polls at which more are requested."""

    @property
    def unused(self) -> int:
        """Tokens of both kinds together."""
        return self.singles + self.polls

    @property
    def is_idle(self) -> bool:
        """Whether this member has no tokens, and the engine knows of all requests that have ended."""
        return not self.unused and not self.in_flight and self.reported == self.total

    def has(self, *, poll: bool) -> bool:
        """Whether there is a token for a poll or a single call."""
        return self.polls > 0 if poll else self.unused > 0

    def use(self, *, poll: bool) -> bool:
        """Use a token, for which `has` was True. Returns whether more should be requested."""
        self.in_flight += 1
        if poll:
            self.polls -= 1
            self.used_polls += 1
            return self.polls <= self.low_polls
        self.used_singles += 1
        if self.singles:
            self.singles -= 1
        else:
            self.polls -= 1
        return self.singles <= self.low_singles

    def drop(self) -> None:
        """Drop all tokens: they have expired, or the gate is closed."""
        self.singles = self.polls = 0

    def drop_idle(self) -> None:
        """Drop the tokens of each kind that was not used since the last call."""
        if not self.used_singles:
            self.singles = 0
        if not self.used_polls:
            self.polls = 0
        self.used_singles = self.used_polls = 0

    def add(self, singles: int, polls: int) -> None:
        """Add granted tokens. More are requested when a quarter of them is left."""
        self.singles += singles
        self.polls += polls
        if singles:
            self.low_singles = self.singles // 4
        if polls:
            self.low_polls = self.polls // 4
