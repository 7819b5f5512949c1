"""The counters of one member of a shared budget: what it holds and what it has sent."""

import msgspec

BLOCK = 50
"""The most tokens of a kind that a member holds: also what is lost for a window when it is killed."""


class Tokens(msgspec.Struct, kw_only=True):
    """Requests that a member may send, and those that it has sent."""

    singles: int = 0
    """Tokens for single calls."""

    polls: int = 0
    """Tokens for polls. Single calls take them as well, if they have no other."""

    valid_until: float = 0.0
    """When the tokens end. The engine counts on them for longer."""

    in_flight: int = 0
    """Requests in flight."""

    total: int = 0
    """Requests that got their response, failed or were canceled."""

    reported: int = 0
    """The `total` that was last reported to the engine."""

    used_singles: int = 0
    """Single calls since the last `drop_idle`."""

    used_polls: int = 0
    """Polls since the last `drop_idle`."""

    low_singles: int = 0
    """The number of tokens for single calls at which more are requested."""

    low_polls: int = 0
    """The same for polls."""

    @property
    def unused(self) -> int:
        """Tokens of both kinds."""
        return self.singles + self.polls

    @property
    def is_idle(self) -> bool:
        """Whether the engine holds nothing for this member and has every report."""
        return not self.unused and not self.in_flight and self.reported == self.total

    def has(self, *, poll: bool) -> bool:
        """Whether there is a token for such a request."""
        return self.polls > 0 if poll else self.unused > 0

    def use(self, *, poll: bool) -> bool:
        """Take a token that is there. True if more should be requested."""
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
        """Give up the kind of tokens of which none was used since the last time."""
        if not self.used_singles:
            self.singles = 0
        if not self.used_polls:
            self.polls = 0
        self.used_singles = self.used_polls = 0

    def add(self, singles: int, polls: int) -> None:
        """Add granted tokens. More are requested when a quarter is left."""
        self.singles += singles
        self.polls += polls
        if singles:
            self.low_singles = self.singles // 4
        if polls:
            self.low_polls = self.polls // 4
