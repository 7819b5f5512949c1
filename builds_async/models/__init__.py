"""The wire nouns: frozen Structs with the API's own field names, and enums that keep unknown words."""

from builds_async.models.builds import (
    Build,
    BuildDeployHook,
    BuildOutcome,
    BuildStatus,
    BuildTriggerMetadata,
    BuildTriggerSource,
    CanceledBuild,
    EnvironmentVariable,
    ProviderType,
    PullRequest,
    RepoConnection,
    Trigger,
)
from builds_async.models.envelope import ErrorDetail, Page, ResultInfo
from builds_async.models.logs import LogEvent, LogLine, LogPage, LogPosition

__all__ = [
    "Build",
    "BuildDeployHook",
    "BuildOutcome",
    "BuildStatus",
    "BuildTriggerMetadata",
    "BuildTriggerSource",
    "CanceledBuild",
    "EnvironmentVariable",
    "ErrorDetail",
    "LogEvent",
    "LogLine",
    "LogPage",
    "LogPosition",
    "Page",
    "ProviderType",
    "PullRequest",
    "RepoConnection",
    "ResultInfo",
    "Trigger",
]
