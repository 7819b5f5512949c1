"""The findings of a probe: how the API behaves for one account."""

from typing import Literal

from builds_async.models.base import Model


class ProbeFinding(Model, frozen=True, kw_only=True):
    """One question about the API, and the answer that was found in the account.

    No field has an id, a name, a text of a log or a secret.
    """

    question: str
    """The name of the question. If the simulator has a switch for it, it is the name of the switch."""
    state: Literal["holds", "differs", "seen", "unknown"]
    """Whether the answer is the one that this package assumes; `seen` if it assumes none.

    `unknown` if there is no answer.
    """
    assumption: str
    """The assumption of this package, or the question if there is none."""
    answer: str = ""
    """The answer, in a few fixed words and numbers; empty if it is unknown."""
    reason: str = ""
    """Why the answer is unknown; empty if it is known."""


class ProbeReport(Model, frozen=True, kw_only=True):
    """All answers of a probe. Nothing in it identifies the account, so it can be published."""

    version: str
    """The version of this package."""
    requests: int
    """How many requests were sent."""
    is_complete: bool
    """Whether the probe was completed. False: it was interrupted, or the API refused its requests."""
    findings: tuple[ProbeFinding, ...]
    """The answers, in reading order."""
    not_asked: dict[str, str]
    """Open questions that read requests can't answer, each with the reason."""

    @property
    def markdown(self) -> str:
        """The report as Markdown, to be pasted into an issue."""
        end = "" if self.is_complete else " The probe was not completed."
        rows = [
            f"| {it.state} | `{it.question}` | {it.answer or it.reason} | {it.assumption} |"
            for it in sorted(self.findings, key=lambda it: _ORDER.index(it.state))
        ]
        others = [f"- `{name}`: {why}" for name, why in self.not_asked.items()]
        return "\n".join(
            [
                f"builds_async {self.version}, {self.requests} read requests.{end}",
                "",
                "| | Question | Answer | Assumption |",
                "| --- | --- | --- | --- |",
                *rows,
                "",
                "Not asked, because read requests can't answer these:",
                "",
                *others,
                "",
            ]
        )


_ORDER = ("differs", "holds", "seen", "unknown")
