"""`AccountProbe`, the public face of a probe. What is behind it is imported when one is made."""

from collections.abc import Awaitable, Callable

from builds_async.models.diagnosis import CredentialKind
from builds_async.models.probe import ProbeReport
from builds_async.session.session import ApiSession


class AccountProbe:
    """Asks an account the open questions about the API: `report = await client.probe().run()`.

    It sends at most 30 requests, all of them GETs, and repeats none. What one of them can't answer is
    unknown, and the next is asked; only a rate limit, refused credentials or a broken network end the probe
    early. `report` is what is known so far, also after a cancellation. It holds no ids, names, lines or
    secrets.
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
        """Ask, and return the report. RuntimeError if it was run before: make another probe.

        Needs "Workers CI Read"; with "Workers Scripts Read" too, it finds builds by itself.
        """
        if self._has_begun:
            raise RuntimeError("this probe was run before: make another one")
        self._has_begun = True
        await self._pass.run()
        return self.report

    @property
    def report(self) -> ProbeReport:
        """What is known so far."""
        return self._pass.report()
