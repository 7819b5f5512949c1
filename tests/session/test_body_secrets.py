"""Secrets in bodies: no error, log, observation or repr shows them, however a server echoes them."""

import json
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from html import escape
from urllib.parse import quote

import msgspec
import pytest

from builds_async import (
    BadRequestError,
    BuildsClient,
    BuildsError,
    InternalServerError,
    Observation,
    ResponseDecodeError,
)
from builds_async.models.variables import NewVariable
from builds_async.models.workers import BuildSettingsUpdate
from tests.support import ACCOUNT, TAG, TOKEN, envelope, refusal
from tests.support.case import Case
from tests.support.connections import GIT, SETTINGS
from tests.support.sent import PREVIEW, RESULTS, UUID, VARIABLES, WORKER, BodyApi, Recorder


@pytest.fixture
async def api() -> AsyncIterator[BodyApi]:
    with BodyApi() as mock:
        yield mock


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
    """The part of a body that a server may echo, from shortly before the secret."""
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
    """The 8-character alphanumeric runs of a secret that appear in a text."""
    runs = ["".join(run) for run in _runs(secret)]
    windows = {run[start : start + 8] for run in runs for start in range(len(run) - 7)}
    return sorted(window for window in windows if window in text)


def _runs(text: str) -> list[str]:
    return "".join(it if it.isascii() and it.isalnum() else " " for it in text).split()


@pytest.mark.slow
@pytest.mark.parametrize("echo", ECHOES)
async def test_echo_leaks_no_secret(
    echo: str, client: BuildsClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither errors nor logs show any part of a secret, however a server echoes the request."""
    caplog.set_level(logging.DEBUG)
    # Setting variables succeeds, whatever its response says.
    setter = "tokens.create" if echo == "body as result" else "triggers.set_variables"
    for kind, secret in SECRETS.items():
        caplog.clear()
        with Case(kind), BodyApi() as api:
            text = await _told(setter, secret, echo, client, api)
            assert shown(text + caplog.text, secret) == []


@pytest.mark.parametrize("echo", ["value in JSON", "body", "body in JSON", "body in a garbled 200"])
@pytest.mark.parametrize("setter", SETTERS)
async def test_no_call_leaks_its_secret(
    setter: str, echo: str, client: BuildsClient, api: BodyApi, caplog: pytest.LogCaptureFixture
) -> None:
    """No call that carries a secret leaks it through an echo."""
    caplog.set_level(logging.DEBUG)
    text = await _told(setter, SECRETS["token"], echo, client, api)
    assert shown(text + caplog.text, SECRETS["token"]) == []


async def _told(setter: str, secret: str, echo: str, client: BuildsClient, api: BodyApi) -> str:
    """Everything that a call's error shows when the server echoes its body."""
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
        with suppress(BuildsError):  # no result has this shape
            await call(client, secret)
    return recorder.raw.decode()


@pytest.mark.parametrize("echo", ["value in JSON", "body", "body in a garbled 200"])
async def test_short_secret(echo: str, client: BuildsClient, api: BodyApi) -> None:
    """A short secret is a secret too: a response that echoes it is not shown."""
    assert SHORT not in await _told("triggers.set_variables", SHORT, echo, client, api)


@pytest.mark.parametrize("setter", SETTERS)
async def test_success_leaks_no_secret(setter: str, api: BodyApi, caplog: pytest.LogCaptureFixture) -> None:
    """A successful call shows its secret in no log, observation or result repr."""
    caplog.set_level(logging.DEBUG)
    call, method, path = SETTERS[setter]
    secret, seen = SECRETS["token"], list[Observation]()
    api.on(method, path, envelope(RESULTS.get(setter.partition(".")[0], {})))
    async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, observer=seen.append) as client:
        result = await call(client, secret)
    assert len(seen) == 1
    assert shown(f"{result} {seen} {caplog.text} {[it.args for it in caplog.records]}", secret) == []


def test_repr_of_parts() -> None:
    """The repr of a request part hides secret values and shows the others."""
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
