"""All Workers of an account, for a verb that keeps a position for each Worker."""

from collections.abc import Awaitable, Callable

from builds_async.live.account_workers import AccountWorkers


class Roster:
    """Lists the Workers of an account from time to time, and passes each new one to `join`."""

    def __init__(self, account: AccountWorkers, join: Callable[[str], Awaitable[None]]) -> None:
        self._account = account
        self._join = join

        self.created: set[str] = set()
        """The Workers that the first list did not have. They are new, and so are all of their builds."""

    @property
    def due(self) -> float:
        """When the next list is due."""
        return self._account.pace.due

    async def refresh(self) -> None:
        """Request the list. Raises only wrong credentials."""
        for tag in await self._account.find(self):
            await self._join(tag)

    def add(self, tag: str) -> bool:  # noqa: ARG002  # `find` returns it
        """Take a Worker of the first list."""
        return True

    def add_new(self, tag: str) -> bool:
        """Take a Worker that has been created since the first list."""
        self.created.add(tag)
        return True
