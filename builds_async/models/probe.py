"""What a probe has found out about the API."""

from typing import Literal

from builds_async.models.base import Model


class ProbeFinding(Model, frozen=True, kw_only=True):
    """One question about the API, and the answer that the account gave.

    No field holds an id, a name, a text of a log or a secret.
    """

    question: str
    """The name of the question; where the simulator has a switch for it, the name of the switch."""
    state: Literal["holds", "differs", "seen", "unknown"]
    """Whether the answer is what this package assumes; `seen` if it assumes nothing."""
    assumption: str
    """The assumption of this package, or the question if it assumes nothing."""
    answer: str = ""
    """The answer, in a few fixed words and numbers; empty if it is unknown."""
    reason: str = ""
    """Why the answer is unknown."""


class ProbeReport(Model, frozen=True, kw_only=True):
    """All answers of a probe. It holds nothing that identifies the account, so it can be published."""

    version: str
    """The version of this package."""
    requests: int
    """How many requests were sent."""
    is_complete: bool
    """Whether the probe came to its end. False: it was interrupted, or the API turned it away."""
    findings: tuple[ProbeFinding, ...]
    """The answers, in reading order."""
    not_asked: dict[str, str]
    """Open questions that reading can't settle, and why not."""

    @property
    def markdown(self) -> str:
        """The report as Markdown, to be pasted into an issue."""
        end = "" if self.is_complete else " The probe did not come to its end."
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
                "Not asked, because reading does not tell:",
                "",
                *others,
                "",
            ]
        )


_ORDER = ("differs", "holds", "seen", "unknown")
