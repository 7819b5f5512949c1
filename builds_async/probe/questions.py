"""The type of a question, and the questions about credentials, unknown ids and lists. No I/O."""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from builds_async.models.builds import Build, BuildOutcome, BuildStatus
from builds_async.models.diagnosis import CredentialKind
from builds_async.probe.asking import Answer, NotAsked, Refused
from builds_async.probe.evidence import (
    Evidence,
    as_dict,
    as_list,
    date_of,
    ids_of,
    metadata_of,
    word,
)
from builds_async.probe.gathering import NO_TAG, NO_UUID
from builds_async.resources.serving import BUILDS_KEPT
from builds_async.session.headers import allowances

Found: TypeAlias = str | NotAsked
"""An answer, or why there is none."""

_SETTLED = 1 / 144  # days: 10 minutes after its end, a build surely has its outcome


class Question(NamedTuple):
    """One question: its name, the assumption in words, and the function that answers it from the evidence."""

    name: str
    assumption: str
    answer: Callable[[Evidence], Found]
    expected: tuple[str, ...] = ()
    """The assumed answers, or their first words; empty if nothing is assumed."""

    def judge(self, answer: str) -> Literal["holds", "differs", "seen"]:
        """Whether this answer is an assumed one; `seen` if nothing is assumed."""
        if not self.expected:
            return "seen"
        is_expected = any(answer == it or answer.startswith(f"{it} ") for it in self.expected)
        return "holds" if is_expected else "differs"


def _rate_limit_headers(seen: Evidence) -> Found:
    answers = [it for name, it in seen.replies.items() if name in _OF_BUILDS and isinstance(it, Answer)]
    if not answers:
        return _why(seen, "limits")
    has = [bool(allowances(it.headers)) for it in answers]
    if all(has):
        return "present"
    return "on some responses" if any(has) else "absent"


def _rate_limit(seen: Evidence) -> Found:
    reply = seen.reply("limits")
    if not isinstance(reply, Answer):
        return _why(seen, "limits")
    policies = [it for it in allowances(reply.headers).values() if it.quota and it.window]
    if not policies:
        return NotAsked("the response has no Ratelimit-Policy")
    return ", ".join(f"{it.quota} in {it.window:g} s" for it in policies)


def _email_key_pair(seen: Evidence) -> Found:
    if seen.kind != CredentialKind.GLOBAL_KEY:
        return NotAsked("the credentials are a token, not an email address with a key")
    return _access(seen, "limits")


def _account_owned_queues(seen: Evidence) -> Found:
    return _access(seen, "subscriptions")


def _access(seen: Evidence, name: str) -> Found:
    reply = seen.reply(name)
    if isinstance(reply, Answer):
        return "accepted"
    return f"refused {reply}" if isinstance(reply, Refused) else reply


def _unknown_ids(seen: Evidence) -> Found:
    return _missing_entry(seen, "unknown_latest", NO_TAG)


def _unknown_versions(seen: Evidence) -> Found:
    return _missing_entry(seen, "unknown_version", NO_UUID)


def _missing_entry(seen: Evidence, name: str, unknown: str) -> Found:
    reply = seen.reply(name)
    if isinstance(reply, Refused):
        return f"refused {reply}"
    if isinstance(reply, NotAsked):
        return reply
    builds = as_dict(reply.result).get("builds")
    if not isinstance(builds, dict):
        return "no map"
    if unknown not in builds:
        return "absent"
    return "null" if builds[unknown] is None else "something"


def _refusal(name: str) -> Callable[[Evidence], Found]:
    def answer(seen: Evidence) -> Found:
        reply = seen.reply(name)
        if isinstance(reply, Answer):
            return "accepted"
        return str(reply) if isinstance(reply, Refused) else reply

    return answer


def _list_or_refusal(name: str) -> Callable[[Evidence], Found]:
    def answer(seen: Evidence) -> Found:
        reply = seen.reply(name)
        if isinstance(reply, Answer):
            return "not empty" if as_list(reply.result) else "empty"
        if isinstance(reply, Refused) and reply.status == 404:
            return "not_found"
        return str(reply) if isinstance(reply, Refused) else reply

    return answer


def _unknown_script(seen: Evidence) -> Found:
    reply = seen.reply("unknown_script")
    if isinstance(reply, Answer):
        return "accepted"
    if isinstance(reply, Refused):
        return ", ".join(map(str, reply.codes)) or str(reply.status)
    return reply


def _status_words(seen: Evidence) -> Found:
    known = {*BuildStatus, *BuildOutcome}
    words = {
        word(it[key]) for it in seen.builds.values() for key in ("status", "build_outcome") if it.get(key)
    }
    if not words:
        return _no_builds(seen)
    others = sorted(words - {str(it) for it in known})
    return f"others: {', '.join(others)}" if others else "documented"


def _late_outcome(seen: Evidence) -> Found:
    stopped = [it for it in seen.builds.values() if (seen.age(it, "stopped_on") or 0.0) > _SETTLED]
    if not stopped:
        return NotAsked("no build that stopped some minutes ago was found")
    return "set" if all(it.get("build_outcome") for it in stopped) else "never"


def _environment_variables(seen: Evidence) -> Found:
    maps = [metadata_of(it).get("environment_variables") for it in seen.builds.values() if metadata_of(it)]
    values = [value for variables in maps for value in as_dict(variables).values()]
    if any(isinstance(value, dict) for value in values):
        return "objects"
    if values:
        return "strings"
    if maps and all(variables is None for variables in maps):
        return "null"
    return NotAsked("no build with variables was found") if maps else _no_builds(seen)


def _started_source(seen: Evidence) -> Found:
    # Only a build that was started by hand or over the API can lack a commit.
    started = [
        metadata
        for it in seen.builds.values()
        if not it.get("deploy_hook") and (metadata := metadata_of(it)).get("commit_hash") == ""
    ]
    words = {word(it.get("build_trigger_source")) for it in started}
    if not words:
        return NotAsked("no build without a commit was found; only calls start such builds")
    return ", ".join(sorted(words))


def _hook_source(seen: Evidence) -> Found:
    started = [metadata_of(it) for it in seen.builds.values() if it.get("deploy_hook")]
    words = {word(it.get("build_trigger_source")) for it in started}
    return ", ".join(sorted(words)) if words else NotAsked("no build of a deploy hook was found")


def _sources(seen: Evidence) -> Found:
    words = {
        word(source) for it in seen.builds.values() if (source := metadata_of(it).get("build_trigger_source"))
    }
    return ", ".join(sorted(words)) if words else _no_builds(seen)


def _order(seen: Evidence) -> Found:
    dates = [date_of(as_dict(it), "created_on") for it in as_list(seen.result("list"))]
    known = [date for date in dates if date is not None]
    if len(known) < 2:
        return NotAsked("no Worker with two builds was found") if known else _why(seen, "list")
    return "newest first" if known == sorted(known, reverse=True) else "another order"


def _builds_kept(seen: Evidence) -> Found:
    ages = [age for it in seen.builds.values() if (age := seen.age(it, "stopped_on")) is not None]
    if not ages:
        return _no_builds(seen)
    if max(ages) > BUILDS_KEPT.days + 1:
        return f"longer: {max(ages):.0f} days"
    return NotAsked(f"the oldest build that was found is {max(ages):.0f} days old")


def _logs_kept(seen: Evidence) -> Found:
    reply = seen.reply("old_log")
    finished = seen.finished()
    age = seen.age(finished[-1], "stopped_on") if finished else None
    days = f" after {age:.0f} days" if age is not None else ""
    if isinstance(reply, Refused):
        return f"gone{days}" if reply.status == 404 else str(reply)
    return reply if isinstance(reply, NotAsked) else f"there{days}"


def _deleted_triggers(seen: Evidence) -> Found:
    reply = seen.reply("triggers")
    if not isinstance(reply, Answer):
        return _why(seen, "triggers")
    listed = [as_dict(it) for it in as_list(reply.result)]
    if any(it.get("deleted_on") for it in listed):
        return "listed"
    triggers = [as_dict(as_dict(build).get("trigger")) for build in as_list(seen.result("list"))]
    deleted = ids_of([it for it in triggers if it.get("deleted_on")], "trigger_uuid")
    if deleted - ids_of(listed, "trigger_uuid"):
        return "gone"
    return NotAsked("no build of a deleted trigger was found")


def _preview_builds(seen: Evidence) -> Found:
    reply = seen.reply("preview_builds")
    if not isinstance(reply, Answer):
        return _why(seen, "preview_builds")
    of_preview = ids_of(reply.result, "build_uuid")
    if not of_preview:
        return NotAsked("the Preview has no builds")
    return "listed" if of_preview & ids_of(seen.result("list"), "build_uuid") else "apart"


def _undeployed_search(seen: Evidence) -> Found:
    found, listed = seen.reply("search"), seen.reply("scripts")
    if not isinstance(found, Answer) or not isinstance(listed, Answer):
        return _why(seen, "scripts" if isinstance(found, Answer) else "search")
    if ids_of(found.result, "id") - ids_of(listed.result, "tag"):
        return "found"
    return NotAsked("no Worker that was never deployed was found")


def _new_fields(seen: Evidence) -> Found:
    if not seen.builds:
        return _no_builds(seen)
    fields = {word(name) for build in seen.builds.values() for name in build} - {*Build.__struct_fields__}
    return ", ".join(sorted(fields)) or "none"


def _why(seen: Evidence, name: str) -> NotAsked:
    reply = seen.reply(name)
    return (
        reply
        if isinstance(reply, NotAsked)
        else NotAsked(
            f"the API refused it: {reply}" if isinstance(reply, Refused) else "the response lacks this part"
        )
    )


def _no_builds(seen: Evidence) -> NotAsked:
    reply = seen.reply("latest")
    return (
        NotAsked("no build of the account was found") if isinstance(reply, Answer) else _why(seen, "latest")
    )


_OF_BUILDS = ("limits", "latest", "list", "triggers", "previews")

OF_THE_ACCOUNT = (
    Question("rate_limit_headers", "Responses have Ratelimit headers", _rate_limit_headers, ("present",)),
    Question("rate_limit", "1,200 requests in 300 s", _rate_limit, ("1200 in 300 s",)),
    Question(
        "email_key_pair", "Builds accept an email address with a global key", _email_key_pair, ("accepted",)
    ),
    Question(
        "account_owned_queues",
        "Queues accept tokens that the account owns",
        _account_owned_queues,
        ("accepted",),
    ),
    Question("unknown_ids", "An unknown tag has no entry among the latest builds", _unknown_ids, ("absent",)),
    Question(
        "unknown_versions",
        "An unknown version has no entry among the builds by version",
        _unknown_versions,
        ("absent",),
    ),
    Question("too_many_ids", "More than 20 ids are refused with 400", _refusal("too_many"), ("400",)),
    Question(
        "unknown_worker",
        "An unknown tag has an empty list of builds",
        _list_or_refusal("unknown_worker"),
        ("empty",),
    ),
    Question("wrong_tag", "A name in place of a tag is refused with 404", _refusal("wrong_tag"), ("404",)),
    Question("unknown_build", "An unknown build is refused with 404", _refusal("unknown_build"), ("404",)),
    Question("unknown_log", "Its log is refused with 404", _refusal("unknown_log"), ("404",)),
    Question(
        "unknown_script",
        "An unknown Worker has the code 10007 where deployments are read",
        _unknown_script,
        ("10007",),
    ),
    Question("undeployed_search", "The search finds only deployed Workers", _undeployed_search, ("same",)),
)
OF_BUILDS = (
    Question(
        "status_words", "Statuses and outcomes are the documented words", _status_words, ("documented",)
    ),
    Question("late_outcome", "A build that has stopped has an outcome", _late_outcome, ("set",)),
    Question(
        "environment_variables", "Variables of a build are objects", _environment_variables, ("objects",)
    ),
    Question(
        "started_source", "A build that a call started has the source `manual`", _started_source, ("manual",)
    ),
    Question(
        "hook_source", "A build of a deploy hook has the source `deploy_hook`", _hook_source, ("deploy_hook",)
    ),
    Question("sources", "Which sources builds have", _sources),
    Question("order", "Builds are listed newest first", _order, ("newest first",)),
    Question("builds_kept", "Builds are kept for 90 days", _builds_kept, ("90 days",)),
    Question("logs_kept", "A log is kept as long as its build", _logs_kept, ("there",)),
    Question("deleted_triggers", "A deleted trigger is not listed", _deleted_triggers, ("gone",)),
    Question(
        "preview_builds", "Builds of a Preview are not listed for its Worker", _preview_builds, ("apart",)
    ),
    Question("new_fields", "Builds have no fields that this version does not know", _new_fields, ("none",)),
)
