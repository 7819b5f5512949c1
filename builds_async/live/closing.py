"""`async with` for the live verbs that hold requests or leases."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class ClosedAtExit(ABC):
    """Closes itself at the end of an `async with` block."""

    @abstractmethod
    async def aclose(self) -> None:
        """End what is under way."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
