"""What is sent to change something: just what was given, checked as far as the schema says, secrets kept."""

import inspect
import json
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from html import escape
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from aiohttp import ClientResponse
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from yarl import URL

from builds_async import (
    BadRequestError,
    BuildsClient,
    BuildsError,
    InternalServerError,
    Observation,
    RateBudget,
    ResponseDecodeError,
    RetryPolicy,
)
from builds_async.models.subscriptions import EventDestination, EventSource
from builds_async.models.variables import NewVariable
from builds_async.models.workers import BuildSettingsUpdate, NewGitRepository
from builds_async.resources.builds import DatedBuilds
from builds_async.resources.previews import Previews
from builds_async.resources.subscriptions import Subscriptions
from builds_async.resources.triggers import Triggers
from builds_async.resources.workers import Workers
from builds_async.session.session import ApiSession
from builds_async.session.transport import Request, Response
from tests.support import ACCOUNT, TAG, TOKEN, FakeClock, MockApi, drive, envelope, refusal
from tests.support.connections import GIT, SETTINGS

UUID = "9c7f2e52-0e58-4a0c-8a0e-0a5a1b0f6d11"
PREVIEW = "00000000000000000000000000000abc"
TRIGGER, WORKER = f"/builds/triggers/{UUID}", f"/builds/workers/{TAG}"
VARIABLES = f"{TRIGGER}/environment_variables"
SUBSCRIPTION = "/event_subscriptions/subscriptions"
CONFIG = {"script_tag": TAG}

Call = Callable[[BuildsClient], Awaitable[object]]


class BodyApi(MockApi):
    """Also keeps the bodies of what was sent, and can answer with them."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[Any] = []
        self.types: list[str | None] = []

    async def match(self, method: str, url: URL, *args: Any, **kwargs: Any) -> ClientResponse | None:
        data = kwargs.get("data")
        self.bodies.append(None if data is None else json.loads(data))
        self.types.append((kwargs.get("headers") or {}).get("Content-Type"))
        return await super().match(method, url, *args, **kwargs)


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

RESULTS = {
    "tokens": {"build_token_uuid": UUID},
    "deploy_hooks": {"deploy_hook_uuid": UUID},
    "previews": {"preview_id": PREVIEW},
    "subscriptions": {"id": "i"},
}


@pytest.mark.parametrize("name", SENT)
async def test_sent(name: str, client: BuildsClient, api: BodyApi) -> None:
    """Each call sends the body of the schema, with what was given and nothing else, in one request."""
    call, method, path, body = SENT[name]
    api.on(method, path, envelope(RESULTS.get(name.partition(".")[0], {})))
    await call(client)
    assert api.sent == [(method, path)]
    assert api.bodies == [body]
    assert api.types == [None if body is None else "application/json"]


class Recorder:
    """A transport that keeps what is sent."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.raw = b""
        self.bodies: list[Any] = []

    async def send(self, request: Request) -> Response:
        self.raw = request.body or b""
        self.bodies.append(json.loads(self.raw))
        return Response(200, {}, json.dumps(envelope(self.result)).encode())

    def check_open(self) -> None:
        """Always open."""

    async def aclose(self) -> None:
        """Nothing to close."""


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


@pytest.mark.parametrize("resource", PATCHES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_patch_sends_what_is_given(resource: str, data: st.DataObject) -> None:
    """A PATCH has exactly the fields that were given, None as null, and UNSET is as good as not given."""
    fields = PATCHES[resource]
    changes = data.draw(st.fixed_dictionaries({}, optional=fields).filter(bool))
    unset = data.draw(st.sets(st.sampled_from(sorted(fields))))
    recorder = Recorder(RESULTS.get(resource, {}))
    session = ApiSession(
        recorder, "", retry=RetryPolicy(), budget=RateBudget(), max_in_flight=1, clock=FakeClock()
    )
    updates: dict[str, Callable[..., Any]] = {
        "triggers": Triggers(session, DatedBuilds(session), Workers(session)).update,
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
def test_settings_send_what_is_given(changes: dict[str, Any]) -> None:
    """So it is for build settings inside of a request."""
    assert json.loads(msgspec.json.encode(BuildSettingsUpdate(**changes))) == changes


def test_every_keyword_of_a_patch_is_unset() -> None:
    """Each keyword of each `update` that is a partial one is UNSET by default."""
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


@pytest.mark.parametrize("name", REFUSED)
async def test_refused(name: str, client: BuildsClient, api: BodyApi) -> None:
    """What the schema rules out is a ValueError that says the limit, and nothing is sent."""
    call, said = REFUSED[name]
    with pytest.raises(ValueError, match=said):
        await call(client)
    assert api.sent == []


@pytest.mark.parametrize(
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
    """A part of a request that can't be is refused where it is made."""
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
    """What the schema leaves open is sent as it is."""
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
    """A text in place of a list is a TypeError, not a list of its letters."""
    with pytest.raises(TypeError, match="not one str"):
        await LISTED[number](client)
    assert api.sent == []


# Secrets in bodies.

SECRETS = {
    "token": "cfut_Zq8Yx7Wv6Ut5Sr4Qp3On2Ml1Kj0Ih9Gf8Ed7Cb",
    "quotes": 'Zq8Yx7Wv6"Ut5Sr4Qp3',
    "backslash": "C:\\Zq8Yx7Wv6\\Ut5Sr4Qp3",
    "key": "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSj\n-----END KEY-----\n",
    "control": "Zq8Yx7Wv6\tUt5Sr4Qp3\x07",
    "umlauts": "Zq8Yx7Wv6-ü-Ut5Sr4Qp3",
    "emoji": "Zq8Yx7Wv6\U0001f511Ut5Sr4Qp3",
    "markup": "<Zq8Yx7Wv6>&<Ut5Sr4Qp3>",
    "percent": "Zq8Yx7Wv6 %+/Ut5Sr4Qp3",
}
SHORT = "hun7r"
Setter = Callable[[BuildsClient, str], Awaitable[object]]


def _secret(value: str) -> Mapping[str, NewVariable]:
    return {"PLAIN": NewVariable(value="not hidden"), "TOKEN": NewVariable(value=value, is_secret=True)}


SETTERS: dict[str, tuple[Setter, str, str]] = {
    "tokens.create": (
        lambda it, value: it.tokens.create(
            build_token_name="b", build_token_secret=value, cloudflare_token_id="i"
        ),
        "POST",
        "/builds/tokens",
    ),
    "triggers.set_variables": (
        lambda it, value: it.triggers.set_variables(UUID, _secret(value)),
        "PATCH",
        VARIABLES,
    ),
    "workers.create": (
        lambda it, value: it.workers.create(
            script_tag=TAG,
            git_repository=GIT,
            production_settings=SETTINGS,
            previews_enabled=True,
            previews_base_config=msgspec.structs.replace(SETTINGS, environment_variables=_secret(value)),
        ),
        "POST",
        "/builds/workers",
    ),
    "workers.update": (
        lambda it, value: it.workers.update(
            TAG, production_settings=BuildSettingsUpdate(environment_variables=_secret(value))
        ),
        "PATCH",
        WORKER,
    ),
    "previews.update": (
        lambda it, value: it.previews.update(
            TAG, PREVIEW, settings=BuildSettingsUpdate(environment_variables=_secret(value))
        ),
        "PATCH",
        f"{WORKER}/previews/{PREVIEW}",
    ),
}


def _near(body: str, secret: str) -> str:
    """The part of a body that a server may show of it: from shortly before the secret."""
    return body[max(0, body.index(max(_runs(secret), key=len)) - 10) :]


ECHOES: dict[str, tuple[type[BuildsError], int, Callable[[str, str], str]]] = {
    "value in JSON": (BadRequestError, 400, lambda _, it: json.dumps(refusal(12002, f"bad value: {it}"))),
    "value in pure ASCII": (
        BadRequestError,
        400,
        lambda _, it: json.dumps(refusal(12002, json.dumps(it))),
    ),
    "body in JSON": (BadRequestError, 400, lambda body, it: json.dumps(refusal(12002, _near(body, it)))),
    "body": (BadRequestError, 400, _near),
    "body in HTML": (InternalServerError, 502, lambda body, it: f"<pre>{escape(_near(body, it))}"),
    "body in a form": (BadRequestError, 400, lambda body, it: quote(_near(body, it))),
    "body in a garbled 200": (ResponseDecodeError, 200, _near),
    "body as result": (
        ResponseDecodeError,
        200,
        lambda body, it: json.dumps({"success": True, "result": [_near(body, it)]}),
    ),
    "first half of it": (BadRequestError, 400, lambda body, it: _near(body, it)[: 10 + len(it) // 2]),
    "in a 200 that says no": (
        BadRequestError,
        200,
        lambda _, it: json.dumps(refusal(12002, f"bad: {it}")),
    ),
}


def shown(text: str, secret: str) -> list[str]:
    """The runs of 8 letters and digits of a secret that a text shows."""
    runs = ["".join(run) for run in _runs(secret)]
    windows = {run[start : start + 8] for run in runs for start in range(len(run) - 7)}
    return sorted(window for window in windows if window in text)


def _runs(text: str) -> list[str]:
    return "".join(it if it.isascii() and it.isalnum() else " " for it in text).split()


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("kind", SECRETS)
async def test_echo_tells_no_secret(
    kind: str, echo: str, client: BuildsClient, api: BodyApi, caplog: pytest.LogCaptureFixture
) -> None:
    """However a server echoes what it was sent, neither error nor log shows a secret, or a part of one."""
    caplog.set_level(logging.DEBUG)
    # What has set variables succeeds, whatever its answer says.
    setter = "tokens.create" if echo == "body as result" else "triggers.set_variables"
    text = await _told(setter, SECRETS[kind], echo, client, api)
    assert shown(text + caplog.text, SECRETS[kind]) == []


@pytest.mark.parametrize("echo", ["value in JSON", "body", "body in JSON", "body in a garbled 200"])
@pytest.mark.parametrize("setter", SETTERS)
async def test_no_call_tells_its_secret(
    setter: str, echo: str, client: BuildsClient, api: BodyApi, caplog: pytest.LogCaptureFixture
) -> None:
    """So it is for each call that carries a secret."""
    caplog.set_level(logging.DEBUG)
    text = await _told(setter, SECRETS["token"], echo, client, api)
    assert shown(text + caplog.text, SECRETS["token"]) == []


async def _told(setter: str, secret: str, echo: str, client: BuildsClient, api: BodyApi) -> str:
    """All that the error of a call tells whose body is echoed."""
    call, method, path = SETTERS[setter]
    error, status, told = ECHOES[echo]
    api.on(method, path, status=status, body=told(await _body(call, secret), secret).encode())
    with pytest.raises(error) as caught:
        await call(client, secret)
    assert len(api.sent) == 1
    return "".join([f"{caught.value!r} {vars(caught.value)}", *traceback.format_exception(caught.value)])


async def _body(call: Setter, secret: str) -> str:
    """The body that a call sends, as text."""
    recorder = Recorder({})
    async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, transport=recorder) as client:
        with suppress(BuildsError):  # there is no such result
            await call(client, secret)
    return recorder.raw.decode()


@pytest.mark.parametrize("echo", ["value in JSON", "body", "body in a garbled 200"])
async def test_short_secret(echo: str, client: BuildsClient, api: BodyApi) -> None:
    """A short secret is one as well: what echoes it is not shown."""
    assert SHORT not in await _told("triggers.set_variables", SHORT, echo, client, api)


@pytest.mark.parametrize("setter", SETTERS)
async def test_success_tells_no_secret(setter: str, api: BodyApi, caplog: pytest.LogCaptureFixture) -> None:
    """A call that works tells nobody its secret: no log, no observation, no repr of what is sent."""
    caplog.set_level(logging.DEBUG)
    call, method, path = SETTERS[setter]
    secret, seen = SECRETS["token"], list[Observation]()
    api.on(method, path, envelope(RESULTS.get(setter.partition(".")[0], {})))
    async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, observer=seen.append) as client:
        result = await call(client, secret)
    assert len(seen) == 1
    assert shown(f"{result} {seen} {caplog.text} {[it.args for it in caplog.records]}", secret) == []


def test_repr_of_parts() -> None:
    """What is about to be sent shows no secret in its repr, and what is none."""
    secret = SECRETS["token"]
    settings_ = BuildSettingsUpdate(environment_variables=_secret(secret))
    parts: list[object] = [
        NewVariable(value=secret, is_secret=True),
        _secret(secret),
        settings_,
        [settings_],
        msgspec.structs.replace(SETTINGS, environment_variables=_secret(secret)),
    ]
    text = f"{parts} {settings_} {settings_!r}"
    assert shown(text, secret) == []
    assert "not hidden" in text
    assert "***" in text
