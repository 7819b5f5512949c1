"""What several endpoints do with build settings: look up what they name, and change them."""

from collections.abc import Mapping
from typing import Final

from builds_async.simulator.endpoints.calls import Call
from builds_async.simulator.endpoints.requests import NewSettings, NewTrigger, NewVariable, SettingsChange
from builds_async.simulator.records import BuildToken, Settings, Variable, Worker
from builds_async.simulator.refusals import UNKNOWN_REFERENCE, BadBodyError

MAX_VARIABLES: Final = 64


def named_worker(call: Call, tag: str) -> Worker:
    """The Worker whose tag a body names."""
    worker = call.state.scripts.get(tag)
    if worker is None or worker.parent is not None:
        raise UNKNOWN_REFERENCE[call.state.behaviour.unknown_references]
    return worker


def named_token(call: Call, uuid: str) -> BuildToken:
    """The build token whose UUID a body names."""
    token = call.state.registry.tokens.get(uuid)
    if token is None:
        raise UNKNOWN_REFERENCE[call.state.behaviour.unknown_references]
    return token


def new_settings(call: Call, asked: NewSettings | NewTrigger) -> Settings:
    """The settings that a body gives."""
    return Settings(
        build_command=asked.build_command,
        deploy_command=asked.deploy_command,
        token=named_token(call, asked.build_token_uuid),
        root_directory=asked.root_directory,
        path_includes=asked.path_includes,
        path_excludes=asked.path_excludes,
        build_caching_enabled=asked.build_caching_enabled,
        variables={} if isinstance(asked, NewTrigger) else merged(call, {}, asked.environment_variables),
    )


def changed(call: Call, settings: Settings, change: SettingsChange) -> Settings:
    """The settings with what a body changes of them."""
    result, sent = settings.copy(), change.sent()
    if "build_token_uuid" in sent:
        result.token = named_token(call, sent.pop("build_token_uuid"))
    if "environment_variables" in sent:
        result.variables = merged(call, result.variables, sent.pop("environment_variables"))
    for name in sent.keys() & set(result.__struct_fields__):
        setattr(result, name, sent[name])
    return result


def merged(
    call: Call, variables: Mapping[str, Variable], changes: Mapping[str, NewVariable | None]
) -> dict[str, Variable]:
    """The variables with those of a body in their place; null deletes one.

    Raises:
        BadBodyError: They would be too many.
    """
    result = dict(variables)
    for name, new in changes.items():
        if new is None:
            result.pop(name, None)
        else:
            created = variables[name].created if name in variables else call.now
            result[name] = Variable(value=new.value, is_secret=new.is_secret, created=created)
    if len(result) > MAX_VARIABLES:
        raise BadBodyError
    return result
