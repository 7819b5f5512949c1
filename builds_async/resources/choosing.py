"""Picks the trigger that builds a branch, by the branch filters of a Worker's triggers. No I/O."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from builds_async.errors import NotFoundError
from builds_async.models.builds import Trigger
from builds_async.session.redact import quoted

_EXACT, _PARTIAL, _ALL = range(3)
"""How closely a filter names a branch: `main`, `release/*`, `*`."""


class Choice(msgspec.Struct, frozen=True):
    """The trigger to start, and the branch; None if only a commit is built."""

    trigger_uuid: str
    branch: str | None


def choose(
    triggers: Iterable[Trigger], branch: str | None, commit_hash: str | None, name: str | None = None
) -> Choice:
    """The trigger that a push to `branch` would use, or the one with this `name` or UUID.

    Without a `name`, a trigger that excludes the branch is never used. Of the others, a trigger that names
    the branch comes first, then one with a matching pattern, then one for `*`. A commit without a branch
    needs a Worker with only one trigger. Without branch and commit, the only branch that the triggers name is
    built.

    NotFoundError if the Worker has no trigger, or none for this branch or with this name. ValueError if
    several are possible.
    """
    usable = [trigger for trigger in triggers if trigger.trigger_uuid and trigger.deleted_on is None]
    if not usable:
        raise NotFoundError(
            "the Worker has no trigger: connect it to a repository in the dashboard first", status=404
        )
    if name is not None:
        usable = [_named(usable, name)]
    if not branch and not commit_hash:
        branch = _named_branch(usable)
    found = _builders(usable, branch) if branch and name is None else usable
    if len(found) == 1:
        return Choice(found[0].trigger_uuid or "", branch or None)
    if not found:
        raise NotFoundError(
            f"no trigger of the Worker builds the branch {quoted(branch or '')}; it has {_described(usable)}",
            status=404,
        )
    if not branch:
        raise ValueError(
            f"the Worker has several triggers: pass the branch too, to pick one of {_described(found)}"
        )
    raise ValueError(
        f"several triggers build the branch {quoted(branch)}: pass one of the triggers {_described(found)}"
    )


def _named(triggers: Sequence[Trigger], name: str) -> Trigger:
    """The only trigger with this UUID or name."""
    found = [trigger for trigger in triggers if name in {trigger.trigger_uuid, trigger.trigger_name}]
    if len(found) > 1:
        raise ValueError(
            f"the Worker has several triggers named {quoted(name)}: pass the UUID of one of "
            f"{_described(found)}"
        )
    if not found:
        raise NotFoundError(
            f"the Worker has no trigger {quoted(name)}: it has {_described(triggers)}", status=404
        )
    return found[0]


def _named_branch(triggers: Sequence[Trigger]) -> str:
    """The only branch that these triggers name; ValueError if they name none, or more than one."""
    names = {
        name
        for trigger in triggers
        for name in trigger.branch_includes or ()
        if "*" not in name and not _is_excluded(trigger, name)
    }
    if len(names) != 1:
        raise ValueError(f"pass a branch or a commit to build: the Worker has {_described(triggers)}")
    return names.pop()


def _builders(triggers: Iterable[Trigger], branch: str) -> list[Trigger]:
    """The triggers that name the branch most closely."""
    ranked = [(rank, trigger) for trigger in triggers if (rank := _rank(trigger, branch)) is not None]
    closest = min((rank for rank, _ in ranked), default=_ALL)
    return [trigger for rank, trigger in ranked if rank == closest]


def _rank(trigger: Trigger, branch: str) -> int | None:
    """How closely a trigger names a branch; None if a push to the branch does not start it."""
    if _is_excluded(trigger, branch):
        return None
    ranks = (_closeness(pattern) for pattern in trigger.branch_includes or () if _matches(pattern, branch))
    return min(ranks, default=None)


def _closeness(pattern: str) -> int:
    if pattern == "*":
        return _ALL
    return _PARTIAL if "*" in pattern else _EXACT


def _is_excluded(trigger: Trigger, branch: str) -> bool:
    return any(_matches(pattern, branch) for pattern in trigger.branch_excludes or ())


def _matches(pattern: str, branch: str) -> bool:
    # The API refuses patterns such as `preview/*` today. If it ever accepts them, their meaning is clear.
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), branch, re.DOTALL) is not None


def _described(triggers: Iterable[Trigger]) -> str:
    """The triggers as text for an error: the UUID, the name and the branches of each."""
    return " and ".join(map(_describe, triggers)) or "none"


def _describe(trigger: Trigger) -> str:
    branches = ", ".join(trigger.branch_includes or ()) or "?"
    excluded = ", ".join(trigger.branch_excludes or ())
    but = f" but {excluded}" if excluded else ""
    return f"{trigger.trigger_uuid} ({trigger.trigger_name or 'no name'}, branches {branches}{but})"
