"""The facts of one build for the page, without I/O. All of it is untrusted text, except links."""

import re
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from builds_async import Build, BuildOutcome, BuildStep, BuildTriggerMetadata, LogLine
from builds_async.models.builds import ProviderType
from builds_async.models.reason import Reason, ReasonFinder
from builds_async.models.steps import StepFinder

_COMMITS = {
    ProviderType.GITHUB: "https://github.com/{owner}/{repo}/commit/{commit}",
    ProviderType.GITLAB: "https://gitlab.com/{owner}/{repo}/-/commit/{commit}",
}
_OWNER = re.compile(r"(?a)[\w-][\w.-]*(?:/[\w-][\w.-]*)*")  # GitLab has groups in groups
_REPO = re.compile(r"(?a)[\w.-]*[\w-][\w.-]*")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")


class Outline:
    """Where in a log its steps begin, and which line explains a failure. Takes the log in pieces."""

    def __init__(self) -> None:
        self.number: int = 0
        """How many lines have been taken."""
        self.begins: dict[str, int] = {}
        """The number of the line that begins a step, 1 for the first line, by the name of the step."""
        self._steps = StepFinder()
        self._reason = ReasonFinder()

    @property
    def reason(self) -> Reason | None:
        """The line that explains a failure, if the build has failed."""
        return self._reason.reason

    def add(self, lines: Iterable[LogLine]) -> None:
        """Take the next lines of the log."""
        for line in lines:
            self.number += 1
            self._steps.add((line,))
            if (current := self._steps.current) is not None:
                self.begins.setdefault(current, self.number)
            self._reason.add((line.message,))


def summary(build: Build) -> dict[str, object]:
    """The fields of a build in one line of the page."""
    about = build.build_trigger_metadata or BuildTriggerMetadata()
    return {
        "build": build.build_uuid,
        "state": build.state,
        "since": build.stopped_on or build.running_on or build.initializing_on or build.created_on,
        "began": build.initializing_on or build.running_on or build.created_on,
        "seconds": build.duration,
        "branch": about.branch,
        "commit": about.commit_hash,
        "message": about.commit_message,
        "author": about.author,
    }


def facts(
    build: Build, worker: str | None, steps: Iterable[BuildStep], outline: Outline
) -> dict[str, object]:
    """The fields of the build that its pane shows."""
    about = build.build_trigger_metadata or BuildTriggerMetadata()
    return {
        **summary(build),
        "worker": worker,
        "stopped": build.is_stopped,
        "commit_url": commit_url(about),
        "steps": [
            {
                "name": step.name,
                "line": outline.begins.get(step.name),
                "seconds": step.duration,
                "outcome": step.outcome,
            }
            for step in steps
        ],
        "reason": _reason(build, outline),
    }


def _reason(build: Build, outline: Outline) -> dict[str, object] | None:
    if not build.is_stopped or build.build_outcome != BuildOutcome.FAIL or (found := outline.reason) is None:
        return None
    return {"text": found.text, "line": found.at + 1}


def commit_url(about: BuildTriggerMetadata) -> str | None:
    """The URL of the commit at its Git host; None for an unknown host or an invalid part."""
    template = _COMMITS.get(about.provider_type) if about.provider_type is not None else None
    owner, repo = about.provider_account_name or "", about.repo_name or ""
    commit = about.commit_hash or ""
    if template is None or not (
        _OWNER.fullmatch(owner) and _REPO.fullmatch(repo) and _COMMIT.fullmatch(commit)
    ):
        return None
    return template.format(owner=owner, repo=quote(repo), commit=commit)


def web_url(url: str | None) -> str | None:
    """The address, if it is one of a web page, over TLS and without credentials; otherwise None."""
    try:
        parts = urlsplit(url or "")
        is_page = parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return None
    return url if is_page and url is not None and url.isascii() and url.isprintable() else None
