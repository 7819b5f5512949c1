"""One pass over all open questions: it sends the requests, and reports the findings so far."""

from collections.abc import Awaitable, Callable
from typing import Final

from builds_async._version import __version__
from builds_async.models.diagnosis import CredentialKind
from builds_async.models.probe import ProbeFinding, ProbeReport
from builds_async.probe.asking import Asker, NotAsked
from builds_async.probe.evidence import Evidence
from builds_async.probe.gathering import Gatherer
from builds_async.probe.log_questions import OF_LOGS
from builds_async.probe.questions import OF_BUILDS, OF_THE_ACCOUNT, Question
from builds_async.session.session import ApiSession

NOT_ASKED: Final = {
    "late_lines": "a build has to be watched while it ends",
    "late_deployments": "a build has to be watched while it is deployed",
    "preview_urls": "a build without a preview URL does not say whether it uploaded a version",
    "cancel_finished": "a build has to be canceled",
    "third_trigger": "a trigger has to be created",
    "unknown_references": "a trigger has to be created",
    "variables_answer": "a variable has to be changed",
    "hook_answer": "a deploy hook has to start a build",
    "subscription_scope": "it needs a queue and builds of two Workers",
}
"""Open questions that read requests can't answer, by the name of the simulator's switch, with the reason."""

QUESTIONS: Final = (*OF_THE_ACCOUNT, *OF_BUILDS, *OF_LOGS)


class ProbePass:
    """Sends the requests of one probe. It can report at any time."""

    def __init__(
        self,
        session: ApiSession,
        kind: CredentialKind,
        build_uuid: str | None,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._seen = Evidence(kind)
        self._asker = Asker(session)
        self._gatherer = Gatherer(self._asker, self._seen, build_uuid, sleep)
        self._is_done = False

    async def run(self) -> None:
        """Send all requests."""
        await self._gatherer.gather()
        self._is_done = True

    def report(self) -> ProbeReport:
        """The findings so far."""
        return ProbeReport(
            version=__version__,
            requests=self._asker.requests,
            is_complete=self._is_done and not self._asker.was_turned_away,
            findings=tuple(_finding(question, self._seen) for question in QUESTIONS),
            not_asked=dict(NOT_ASKED),
        )


def _finding(question: Question, seen: Evidence) -> ProbeFinding:
    answer = question.answer(seen)
    if isinstance(answer, NotAsked):
        return ProbeFinding(
            question=question.name, state="unknown", assumption=question.assumption, reason=answer.why
        )
    return ProbeFinding(
        question=question.name,
        state=question.judge(answer),
        assumption=question.assumption,
        answer=answer,
    )
