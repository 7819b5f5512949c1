"""Request bodies: exactly the given fields, validated as far as the schema allows."""

import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from builds_async import (
    BuildsClient,
    RateBudget,
    RetryPolicy,
)
from builds_async.models.subscriptions import EventDestination, EventSource
from builds_async.models.variables import NewVariable
from builds_async.models.workers import BuildSettingsUpdate, NewGitRepository
from builds_async.resources.builds import DatedBuilds
from builds_async.resources.previews import Previews
from builds_async.resources.subscriptions import Subscriptions
from builds_async.resources.trigger_starts import TriggerStarts
from builds_async.resources.triggers import Triggers
from builds_async.resources.workers import Workers
from builds_async.session.session import ApiSession
from tests.support import TAG, FakeClock, drive, envelope
from tests.support.case import cases
from tests.support.connections import GIT, SETTINGS
from tests.support.sent import (
    PREVIEW,
    RESULTS,
    SUBSCRIPTION,
    TRIGGER,
    UUID,
    VARIABLES,
    WORKER,
    BodyApi,
    Recorder,
)

Call = Callable[[BuildsClient], Awaitable[object]]


@pytest.fixture
async def api() -> AsyncIterator[BodyApi]:
    with BodyApi() as mock:
        yield mock


GIT_BODY = {
    "provider_type": "github",
    "provider_account_id": "4242",
    "provider_account_name": "acme",
    "repo_id": "812345678",
    "repo_name": "shop",
    "branch": "main",
}
SETTINGS_BODY = {
    "build_command": "make",
    "deploy_command": "npx wrangler deploy",
    "build_token_uuid": UUID,
}
NEW_TRIGGER: dict[str, Any] = {
    "external_script_id": TAG,
    "repo_connection_uuid": UUID,
    "build_token_uuid": UUID,
    "trigger_name": "Deploy ✨",
    "build_command": "",
    "deploy_command": "npx wrangler deploy",
    "branch_includes": ["main"],
}
TRIGGER_DEFAULTS = {
    "branch_excludes": [],
    "path_includes": ["*"],
    "path_excludes": [],
    "root_directory": "/",
}

SENT: dict[str, tuple[Call, str, str, Any]] = {
    "triggers.create": (
        lambda it: it.triggers.create(**NEW_TRIGGER),
        "POST",
        "/builds/triggers",
        NEW_TRIGGER | TRIGGER_DEFAULTS,
    ),
    "triggers.create, all": (
        lambda it: it.triggers.create(
            **NEW_TRIGGER,
            branch_excludes=("a",),
            path_includes=(it for it in "b"),
            path_excludes={"c"},
            root_directory="/d",
            build_caching_enabled=False,
        ),
        "POST",
        "/builds/triggers",
        NEW_TRIGGER
        | {"branch_excludes": ["a"], "path_includes": ["b"], "path_excludes": ["c"]}
        | {"root_directory": "/d", "build_caching_enabled": False},
    ),
    "triggers.update": (
        lambda it: it.triggers.update(UUID, build_command=None, branch_includes=[]),
        "PATCH",
        TRIGGER,
        {"build_command": None, "branch_includes": []},
    ),
    "triggers.update, false": (
        lambda it: it.triggers.update(UUID, build_caching_enabled=False, root_directory=""),
        "PATCH",
        TRIGGER,
        {"build_caching_enabled": False, "root_directory": ""},
    ),
    "triggers.delete": (lambda it: it.triggers.delete(UUID), "DELETE", TRIGGER, None),
    "triggers.purge_cache": (
        lambda it: it.triggers.purge_cache(UUID),
        "POST",
        f"{TRIGGER}/purge_build_cache",
        None,
    ),
    "triggers.set_variables": (
        lambda it: it.triggers.set_variables(
            UUID, {"_A1": "b\n\u2028\U0001f600", "B": NewVariable(value="", is_secret=True)}
        ),
        "PATCH",
        VARIABLES,
        {
            "_A1": {"value": "b\n\u2028\U0001f600", "is_secret": False},
            "B": {"value": "", "is_secret": True},
        },
    ),
    "triggers.delete_variable": (
        lambda it: it.triggers.delete_variable(UUID, "A"),
        "DELETE",
        f"{VARIABLES}/A",
        None,
    ),
    "tokens.create": (
        lambda it: it.tokens.create(
            build_token_name="b", build_token_secret="secret-text", cloudflare_token_id="i"
        ),
        "POST",
        "/builds/tokens",
        {"build_token_name": "b", "build_token_secret": "secret-text", "cloudflare_token_id": "i"},
    ),
    "repos.upsert_connection": (
        lambda it: it.repos.upsert_connection(
            provider_type="github",
            provider_account_id="4242",
            provider_account_name="acme",
            repo_id="812345678",
            repo_name="shop",
        ),
        "PUT",
        "/builds/repos/connections",
        {name: value for name, value in GIT_BODY.items() if name != "branch"},
    ),
    "workers.create": (
        lambda it: it.workers.create(
            script_tag=TAG,
            git_repository=GIT,
            production_settings=SETTINGS,
            previews_enabled=False,
            previews_base_config=SETTINGS,
        ),
        "POST",
        "/builds/workers",
        {
            "script_tag": TAG,
            "git_repository": GIT_BODY,
            "production_settings": SETTINGS_BODY,
            "previews_enabled": False,
            "previews_base_config": SETTINGS_BODY,
        },
    ),
    "workers.update": (
        lambda it: it.workers.update(
            TAG,
            branch="next",
            production_settings=BuildSettingsUpdate(
                build_command=None,
                environment_variables={"GONE": None, "A": NewVariable(value="b")},
            ),
        ),
        "PATCH",
        WORKER,
        {
            "git_repository": {"branch": "next"},
            "production_settings": {
                "build_command": None,
                "environment_variables": {"GONE": None, "A": {"value": "b", "is_secret": False}},
            },
        },
    ),
    "workers.update, previews": (
        lambda it: it.workers.update(TAG, previews_enabled=False, patch_existing_previews=True),
        "PATCH",
        f"{WORKER}?patch_existing_previews=true",
        {"previews_enabled": False},
    ),
    "workers.migrate_to_previews": (
        lambda it: it.workers.migrate_to_previews(TAG),
        "POST",
        f"{WORKER}/migrate_to_previews",
        {},
    ),
    "workers.migrate_to_previews, command": (
        lambda it: it.workers.migrate_to_previews(TAG, deploy_command="npx wrangler preview"),
        "POST",
        f"{WORKER}/migrate_to_previews",
        {"deploy_command": "npx wrangler preview"},
    ),
    "previews.update": (
        lambda it: it.previews.update(
            TAG, PREVIEW, auto_build=False, settings=BuildSettingsUpdate(path_includes=())
        ),
        "PATCH",
        f"{WORKER}/previews/{PREVIEW}",
        {"auto_build": False, "settings": {"path_includes": []}},
    ),
    "deploy_hooks.create": (
        lambda it: it.deploy_hooks.create("my shop", deploy_hook_name="n", branch="main"),
        "POST",
        "/builds/workers/my%20shop/deploy_hooks",
        {"deploy_hook_name": "n", "branch": "main"},
    ),
    "subscriptions.create": (
        lambda it: it.subscriptions.create(
            name="s",
            source=EventSource(worker_name="shop"),
            destination=EventDestination(queue_id="q"),
            events=["build.failed"],
        ),
        "POST",
        SUBSCRIPTION,
        {
            "name": "s",
            "source": {"type": "workersBuilds.worker", "worker_name": "shop"},
            "destination": {"type": "queues.queue", "queue_id": "q"},
            "events": ["build.failed"],
            "enabled": True,
        },
    ),
    "subscriptions.update": (
        lambda it: it.subscriptions.update("i", enabled=False),
        "PATCH",
        f"{SUBSCRIPTION}/i",
        {"enabled": False},
    ),
}


@pytest.mark.parametrize("name", SENT)
async def test_sent(name: str, client: BuildsClient, api: BodyApi) -> None:
    """Each call sends the schema's body in one request, with the given fields and no others."""
    call, method, path, body = SENT[name]
    api.on(method, path, envelope(RESULTS.get(name.partition(".")[0], {})))
    await call(client)
    assert api.sent == [(method, path)]
    assert api.bodies == [body]
    assert api.types == [None if body is None else "application/json"]


TEXTS = st.none() | st.text(max_size=3)
LISTS = st.lists(st.text(max_size=3), max_size=2)
SETTINGS_CHANGE = {
    "build_command": TEXTS,
    "deploy_command": TEXTS,
    "root_directory": TEXTS,
    "path_includes": LISTS,
    "path_excludes": LISTS,
    "build_caching_enabled": st.booleans(),
    "build_token_uuid": st.text(max_size=3),
}
PATCHES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "triggers": {
        **SETTINGS_CHANGE,
        "trigger_name": st.text(max_size=3),
        "branch_includes": LISTS,
        "branch_excludes": LISTS,
    },
    "previews": {
        "branch": st.text(min_size=1, max_size=256),
        "auto_build": st.booleans(),
        "auto_delete": st.booleans(),
    },
    "subscriptions": {
        "name": st.text(),
        "enabled": st.booleans(),
        "events": st.lists(st.text(), min_size=1, max_size=3),
    },
    "workers": {"previews_enabled": st.booleans(), "branch": st.text(min_size=1, max_size=256)},
}


@pytest.mark.slow
@pytest.mark.parametrize("resource", PATCHES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_patch_sends_the_given_fields(resource: str, data: st.DataObject) -> None:
    """A PATCH sends exactly the given fields: None as null, and UNSET not at all."""
    fields = PATCHES[resource]
    changes = data.draw(st.fixed_dictionaries({}, optional=fields).filter(bool))
    unset = data.draw(st.sets(st.sampled_from(sorted(fields))))
    recorder = Recorder(RESULTS.get(resource, {}))
    session = ApiSession(
        recorder, "", retry=RetryPolicy(), budget=RateBudget(), max_in_flight=1, clock=FakeClock()
    )
    updates: dict[str, Callable[..., Any]] = {
        "triggers": Triggers(session, TriggerStarts(session, DatedBuilds(session), Workers(session))).update,
        "previews": Previews(session).update,
        "subscriptions": Subscriptions(session).update,
        "workers": Workers(session).update,
    }
    update = updates[resource]
    ids = {"previews": (TAG, PREVIEW), "workers": (TAG,)}.get(resource, (UUID,))
    given_ = dict.fromkeys(unset, UNSET) | changes
    drive(update(*ids, **given_))
    expected = dict(changes)
    if resource == "workers" and "branch" in expected:
        expected["git_repository"] = {"branch": expected.pop("branch")}
    assert recorder.bodies == [expected]


@settings(max_examples=20, deadline=None)
@given(changes=st.fixed_dictionaries({}, optional=SETTINGS_CHANGE).filter(bool))
def test_settings_send_the_given_fields(changes: dict[str, Any]) -> None:
    """A request's build settings also contain exactly the given fields."""
    assert json.loads(msgspec.json.encode(BuildSettingsUpdate(**changes))) == changes


def test_every_keyword_of_a_patch_is_unset() -> None:
    """Every keyword of each partial `update` defaults to UNSET."""
    for update in (Triggers.update, Workers.update, Previews.update, Subscriptions.update):
        parameters = inspect.signature(update).parameters.values()
        keywords = [it for it in parameters if it.kind is it.KEYWORD_ONLY]
        assert {it.name for it in keywords if it.default is not UNSET} <= {"patch_existing_previews"}


def hook_of(name: str) -> Call:
    return lambda it: it.deploy_hooks.create("shop", deploy_hook_name=name, branch="main")


def variables_of(**variables: Any) -> Call:
    return lambda it: it.triggers.set_variables(UUID, variables)


def named(name: str) -> Call:
    return lambda it: it.triggers.set_variables(UUID, {name: "v"})


def branch_of_preview(branch: str) -> Call:
    return lambda it: it.previews.update(TAG, PREVIEW, branch=branch)


def branch_of_worker(branch: str) -> Call:
    return lambda it: it.workers.update(TAG, branch=branch)


async def _settings_named(name: str, client: BuildsClient) -> None:
    settings_ = BuildSettingsUpdate(environment_variables={name: None})
    await client.workers.update(TAG, production_settings=settings_)


NAMES = {
    "empty name": "",
    "digit": "1A",
    "dash": "A-B",
    "dot": "A.B",
    "space": " A",
    "line break": "A\n",
    "umlaut": "Ä",
    "full-width": "\uff21",
    "Arabic digit": "A\u0661",
    "path": "A/../B",
    "NUL": "A\0",
    "dots": "..",
}
REFUSED: dict[str, tuple[Call, str]] = {
    "hook name of 59": (hook_of("x" * 59), "58 characters, not 59"),
    "hook name of 0": (hook_of(""), "1 to 58 characters"),
    "value of 5001": (variables_of(A="x" * 5001), "at most 5000 characters, not 5001"),
    "branch of 257": (branch_of_worker("b" * 257), "1 to 256 characters, not 257"),
    "no branch": (branch_of_worker(""), "1 to 256 characters, not 0"),
    "preview of 257": (branch_of_preview("b" * 257), "1 to 256 characters, not 257"),
    "preview of none": (branch_of_preview(""), "1 to 256 characters, not 0"),
    "no change of a Worker": (lambda it: it.workers.update(TAG), "at least one"),
    "only the flag": (lambda it: it.workers.update(TAG, patch_existing_previews=True), "at least one"),
    "no change of a preview": (lambda it: it.previews.update(TAG, PREVIEW), "at least one"),
    "no event": (lambda it: it.subscriptions.update("i", events=[]), "at least one event"),
    **{
        f"variable: {name}": (named(value), "letters, digits and underscores")
        for name, value in NAMES.items()
    },
    **{
        f"settings: {name}": (lambda it, value=value: _settings_named(value, it), "letters, digits")  # type: ignore[misc]
        for name, value in NAMES.items()
    },
    **{
        f"deleted: {name}": (
            lambda it, value=value: it.triggers.delete_variable(UUID, value),  # type: ignore[misc]
            "letters, digits",
        )
        for name, value in NAMES.items()
    },
}


@cases("name", REFUSED)
async def test_refused(name: str, client: BuildsClient, api: BodyApi) -> None:
    """A value that the schema forbids is a ValueError that states the limit, and nothing is sent."""
    call, said = REFUSED[name]
    with pytest.raises(ValueError, match=said):
        await call(client)
    assert api.sent == []


@cases(
    ("make", "said"),
    [
        (BuildSettingsUpdate, "at least one field"),
        (lambda: NewVariable(value="x" * 5001, is_secret=True), "at most 5000"),
        (lambda: NewGitRepository(**{**msgspec.structs.asdict(GIT), "branch": ""}), "1 to 256"),
        (lambda: NewGitRepository(**{**msgspec.structs.asdict(GIT), "branch": "b" * 257}), "1 to 256"),
        (lambda: NewGitRepository(**{**msgspec.structs.asdict(GIT), "grant_id": ""}), "at least 1"),
    ],
    ids=["nothing", "value", "no branch", "branch", "grant"],
)
def test_refused_parts(make: Callable[[], object], said: str) -> None:
    """An invalid part of a request is rejected when it is constructed."""
    with pytest.raises(ValueError, match=said):
        make()


ACCEPTED: dict[str, Call] = {
    "hook name of 58": hook_of("\U0001f600" * 58),
    "value of 5000": variables_of(A="\U0001f600" * 5000),
    "empty value": variables_of(A=""),
    "long name": named("_" * 1000),
    "branch of 256": branch_of_worker("b" * 256),
    "odd branch": branch_of_preview("a b/../ü\n"),
}


@pytest.mark.parametrize("name", ACCEPTED)
async def test_accepted(name: str, client: BuildsClient, api: BodyApi) -> None:
    """A value that the schema leaves open is sent unchanged."""
    api.on("POST", "/builds/workers/shop/deploy_hooks", envelope({"deploy_hook_uuid": UUID}))
    api.on("PATCH", VARIABLES, envelope({}))
    api.on("PATCH", WORKER, envelope({}))
    api.on("PATCH", f"{WORKER}/previews/{PREVIEW}", envelope({"preview_id": PREVIEW}))
    await ACCEPTED[name](client)
    assert len(api.sent) == 1


LISTED = [
    lambda it: it.triggers.create(**{**NEW_TRIGGER, "branch_includes": "main"}),
    lambda it: it.triggers.update(UUID, branch_excludes="main"),
    lambda it: it.triggers.update(UUID, path_includes="*"),
    lambda it: it.subscriptions.update("i", events="build.failed"),
]


@pytest.mark.parametrize("number", range(len(LISTED)))
async def test_text_for_a_list(number: int, client: BuildsClient, api: BodyApi) -> None:
    """A string in place of a list is a TypeError, not a list of its characters."""
    with pytest.raises(TypeError, match="not one str"):
        await LISTED[number](client)
    assert api.sent == []
