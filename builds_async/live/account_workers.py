"""All Workers of an account, for live verbs without ids: which ones join, and when the next list is due."""

import logging
from collections.abc import Sequence
from typing import Protocol

from builds_async.errors import AuthenticationError, BuildsError, PermissionDeniedError
from builds_async.live.pace import Pace
from builds_async.models.workers import WorkerScript
from builds_async.session.clock import Clock
from builds_async.session.ids import normalized_id

LIST_EVERY = 60.0
"""Seconds between two lists of the account's Workers. A list is one request, a pass over 1,000 Workers 50."""

logger: logging.Logger = logging.getLogger("builds_async")


class WorkerSource(Protocol):
    """The Workers of an account."""

    async def list(self) -> Sequence[WorkerScript]:
        """All Workers of the account."""
        ...


class Group(Protocol):
    """The Workers that a verb follows: a `Tracker`, or a `Roster`."""

    def add(self, external_script_id: str, /) -> bool:
        """Add a Worker. Returns False if it was there already."""
        ...

    def add_new(self, external_script_id: str, /) -> bool:
        """Add a Worker that did not exist before: all of its builds are new."""
        ...


class AccountWorkers:
    """Adds the Workers of an account to a group: all that exist at the beginning, then each new one."""

    def __init__(self, source: WorkerSource, clock: Clock) -> None:
        self.pace: Pace = Pace(clock, LIST_EVERY)
        """When the next list is due."""

        self._source = source
        self._clock = clock
        self._known: set[str] | None = None
        self._failing = False

    async def find(self, group: Group) -> list[str]:
        """Request the list, and return the tags that were added. Raises only wrong credentials.

        After any other failure, the next list finds the new Workers.
        """
        began = self._clock.now()
        try:
            scripts = await self._source.list()
        except (AuthenticationError, PermissionDeniedError):
            raise
        except BuildsError as error:
            if not self._failing:
                logger.warning("the Workers of the account could not be listed: %s", str(error))
            self._failing = True
            return []
        finally:
            self.pace.next_after(began)
        self._failing = False
        tags = [normalized_id(script.tag) for script in scripts if script.tag]
        # A Worker that the last list did not have is new, and so are all of its builds.
        add = group.add if self._known is None else group.add_new
        added = [tag for tag in tags if tag not in (self._known or ()) and add(tag)]
        # All existing Workers are known now. Those that the caller has removed do not come back.
        self._known = set(tags)
        return added
