"""`AccountProbe`, the public class of the probe. Creating one imports the other modules."""

from collections.abc import Awaitable, Callable

from builds_async.models.diagnosis import CredentialKind
from builds_async.models.probe import ProbeReport
from builds_async.session.session import ApiSession


class AccountProbe:
    """Finds out how the API behaves where that is undocumented: `report = await client.probe().run()`.

    It sends at most 30 requests, all of them GETs, and repeats none. If a request fails, its questions stay
    unknown, and the probe goes on. Only a rate limit or a broken network ends it early. If the credentials
    are refused, it sends no more requests for builds. `report` has the findings so far, even after a
    cancellation. It contains no ids, names, log lines or secrets.
    """

    def __init__(
        self,
        session: ApiSession,
        *,
        kind: CredentialKind,
        build_uuid: str | None,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        from builds_async.probe.passing import ProbePass  # noqa: PLC0415  # most programs never probe

        self._pass = ProbePass(session, kind, build_uuid, sleep)
        self._has_begun = False

    async def run(self) -> ProbeReport:
        """Send the requests, and return the report. RuntimeError for a second run: make another probe.

        Needs "Workers CI Read"; with "Workers Scripts Read" too, it finds builds by itself.
        """
        if self._has_begun:
            raise RuntimeError("this probe was run before: make another one")
        self._has_begun = True
        await self._pass.run()
        return self.report

    @property
    def report(self) -> ProbeReport:
        """The findings so far."""
        return self._pass.report()
