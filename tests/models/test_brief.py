"""How models look as a repr, and how other libraries serialize them."""

import inspect
import json
from datetime import datetime, timedelta, timezone

import msgspec
from rich.pretty import pretty_repr

import builds_async
from builds_async import (
    Build,
    BuildChange,
    BuildOutcome,
    BulkResult,
    DeployHook,
    EnvironmentVariable,
    LogLine,
    LogPage,
    NewBuildSettings,
    NewVariable,
    NotFoundError,
    Page,
    QueueMessage,
    SeedFile,
    SeedRepo,
    TailLine,
    TailPosition,
    WorkerMark,
    WorkerScript,
)
from builds_async.models.base import Model
from tests.support import BUILD_UUID, TAG, build
from tests.support.case import Case, cases
from tests.support.decoding import decoded

BUILD = Build(build_uuid="b", build_outcome=BuildOutcome("new word"))
MOMENT = datetime(2026, 8, 13, 4, 33, 54, 80_000, timezone(timedelta(hours=2)))


@cases(
    ("value", "shown"),
    [
        (
            decoded(build(build_trigger_metadata={"branch": "main"})),
            f"Build(build_uuid='{BUILD_UUID}', status='stopped', build_outcome='success', branch='main')",
        ),
        (BUILD, "Build(build_uuid='b', build_outcome='new word')"),
        (WorkerScript(id="shop", tag=TAG, handlers=("fetch",)), f"WorkerScript(id='shop', tag='{TAG}')"),
        (LogLine(1.5, "x" * 100), f"LogLine(timestamp=1.5, message='{'x' * 45}...')"),
        (LogLine(1, "a\n\x1b[0m"), r"LogLine(timestamp=1, message='a\n\x1b[0m')"),
        (LogPage(lines=(LogLine(1, "a"),) * 3), "LogPage(lines=<3 items>)"),
        (LogPage(lines=(LogLine(1, "a"),)), "LogPage(lines=<1 item>)"),
        (Page[Build](result=(BUILD, BUILD)), "Page(result=<2 items>, skipped=0)"),
        (DeployHook(deploy_hook_uuid="secret", branch="b"), "DeployHook(deploy_hook_uuid='***', branch='b')"),
        (NewVariable(value="secret", is_secret=True), "NewVariable(value='***', is_secret=True)"),
        (NewVariable(value="v"), "NewVariable(value='v', is_secret=False)"),
        (EnvironmentVariable(value="v", is_secret=False), "EnvironmentVariable(is_secret=False)"),
        (QueueMessage(id="m", lease_id="secret", body={"a": 1}), "QueueMessage(id='m', attempts=1)"),
        (
            NewBuildSettings(
                build_command="b",
                deploy_command="d",
                build_token_uuid="t",
                environment_variables={"A": "secret"},
            ),
            "NewBuildSettings(build_command='b', deploy_command='d')",
        ),
        (
            SeedRepo(
                provider="github",
                owner="o",
                repository="r",
                files=(SeedFile(filename="f", content="c", is_base64=False),),
            ),
            "SeedRepo(provider='github', owner='o', repository='r')",
        ),
        (WorkerMark("b", None), "WorkerMark(build_uuid='b')"),
        (TailPosition({"a": None}, {}), "TailPosition(workers=<1 item>, logs=<0 items>)"),
        (
            TailLine("t", BUILD, LogLine(1, "a")),
            f"TailLine(external_script_id='t', build={BUILD!r}, line={LogLine(1, 'a')!r}, number=0)",
        ),
        (
            BuildChange(external_script_id="t", previous=None, build=BUILD),
            f"BuildChange(external_script_id='t', build={BUILD!r})",
        ),
        (
            BulkResult(found={"a": BUILD}, missing=("b",), failed={}),
            "BulkResult(found=<1 item>, missing=['b'], failed=<0 items>)",
        ),
        (
            builds_async.TokenStatus(id="i", expires_on=MOMENT),
            "TokenStatus(id='i', expires_on=2026-08-13T04:33:54+02:00)",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, msgspec.Struct) else "",
)
def test_repr(value: msgspec.Struct, shown: str) -> None:
    """A repr is one short line with the identifying fields and without a secret."""
    assert repr(value) == shown
    assert "secret" not in pretty_repr(value).replace("is_secret", "")


def structs() -> list[type[msgspec.Struct]]:
    public = (getattr(builds_async, name) for name in builds_async.__all__)
    return [kind for kind in public if inspect.isclass(kind) and issubclass(kind, Model)]


def test_all_reprs_are_short() -> None:
    """A repr stays on one line and below 450 characters, however much the model holds."""
    for kind in structs():
        it = kind(**dict.fromkeys(kind.__struct_fields__, "\n" + "x" * 1000))
        if kind is Build:  # its repr shows some properties
            it = BUILD
        with Case(kind):
            assert len(repr(it)) < 450
            assert "\n" not in repr(it)


def test_to_builtins() -> None:
    """Results serialize to JSON types, unlisted words and dates included; an error becomes its text."""
    result = BulkResult(
        found={"a": decoded(build(status="hibernating"))},
        missing=("b",),
        failed={"c": NotFoundError("gone", status=404)},
    )
    plain = msgspec.to_builtins(result, enc_hook=str)
    assert json.loads(json.dumps(plain)) == json.loads(msgspec.json.encode(result, enc_hook=str))
    assert plain["found"]["a"]["status"] == "hibernating"
    assert plain["found"]["a"]["created_on"] == "2026-08-13T02:33:54.080000Z"
    assert plain["failed"] == {"c": str(result.failed["c"])}
    page = Page[Build](result=(decoded(build()), BUILD))
    assert [row["build_uuid"] for row in msgspec.to_builtins(page.result)] == [BUILD_UUID, "b"]
