"""Build settings of triggers, Workers and Previews: request bodies, and applying changes."""

from collections.abc import Mapping
from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from builds_async.simulator.endpoints.changes import Change, Patterns, SomeChange
from builds_async.simulator.records import BuildToken, Settings, Variable
from builds_async.simulator.refusals import BY_STATUS, BadBodyError
from builds_async.simulator.routing import Call

MAX_VARIABLES = 64

_Name: TypeAlias = Annotated[str, Meta(pattern=r"\A[A-Za-z_][A-Za-z0-9_]*\Z")]


class NewVariable(msgspec.Struct, kw_only=True):
    """A variable or a secret."""

    value: Annotated[str, Meta(max_length=5000)]
    is_secret: bool


NewVariables: TypeAlias = dict[_Name, NewVariable]


class SettingsBody(msgspec.Struct, kw_only=True):
    """Build settings, without the variables."""

    build_token_uuid: str
    build_command: str
    deploy_command: str
    root_directory: str = "/"
    path_includes: Patterns = msgspec.field(default_factory=lambda: ["*"])
    path_excludes: Patterns = []
    build_caching_enabled: bool = True


class NewSettings(SettingsBody, kw_only=True):
    """Build settings."""

    environment_variables: NewVariables = {}


class SettingsChange(Change):
    """A change of build settings, without the variables."""

    build_token_uuid: str | UnsetType = UNSET
    build_command: str | UnsetType = UNSET
    deploy_command: str | UnsetType = UNSET
    root_directory: str | UnsetType = UNSET
    path_includes: Patterns | UnsetType = UNSET
    path_excludes: Patterns | UnsetType = UNSET
    build_caching_enabled: bool | UnsetType = UNSET


class WorkerSettingsChange(SettingsChange, SomeChange):
    """A change of build settings; a variable that is null is deleted."""

    environment_variables: dict[_Name, NewVariable | None] | UnsetType = UNSET


def named_token(call: Call, uuid: str) -> BuildToken:
    """The build token with the UUID in a body. 404 or 400, as the switch says, if there is none."""
    token = call.account.build_tokens.get(uuid)
    if token is None:
        raise BY_STATUS[call.account.behavior.unknown_references]
    return token


def new_settings(call: Call, new: SettingsBody) -> Settings:
    """The settings from a body."""
    return Settings(
        build_command=new.build_command,
        deploy_command=new.deploy_command,
        token=named_token(call, new.build_token_uuid),
        root_directory=new.root_directory,
        path_includes=new.path_includes,
        path_excludes=new.path_excludes,
        build_caching_enabled=new.build_caching_enabled,
        variables=merged(call, {}, new.environment_variables) if isinstance(new, NewSettings) else {},
    )


def changed(call: Call, settings: Settings, change: SettingsChange) -> Settings:
    """A copy of the settings with the changes of a body."""
    result, sent = settings.copy(), change.sent()
    if "build_token_uuid" in sent:
        result.token = named_token(call, sent.pop("build_token_uuid"))
    if "environment_variables" in sent:
        result.variables = merged(call, result.variables, sent.pop("environment_variables"))
    # A trigger's change also has fields that are not settings; its endpoint applies them.
    for name in sent.keys() & set(result.__struct_fields__):
        setattr(result, name, sent[name])
    return result


def merged(
    call: Call, variables: Mapping[str, Variable], changes: Mapping[str, NewVariable | None]
) -> dict[str, Variable]:
    """The variables, updated from a body. Null deletes a variable. BadBodyError if there are too many."""
    result = dict(variables)
    for name, new in changes.items():
        if new is None:
            result.pop(name, None)
        else:
            # A variable that gets a new value keeps its date.
            created = variables[name].created_on if name in variables else call.now
            result[name] = Variable(value=new.value, is_secret=new.is_secret, created_on=created)
    if len(result) > MAX_VARIABLES:
        raise BadBodyError
    return result
