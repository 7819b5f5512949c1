"""The API's data types: frozen Structs with its field names, and enums that accept unknown values."""

from builds_async.models.account import AccountLimits
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
from builds_async.models.deploy_hooks import DeployHook, DeployHookBuild, DeployHookLatestBuild
from builds_async.models.deployments import (
    AccountSubdomain,
    DeployedVersion,
    Deployment,
    Version,
    VersionMetadata,
    WorkerSubdomain,
)
from builds_async.models.diagnosis import CredentialKind, Diagnosis, Finding
from builds_async.models.envelope import ErrorDetail, Page, ResultInfo
from builds_async.models.logs import LogEvent, LogLine, LogPage, LogPosition
from builds_async.models.previews import Preview
from builds_async.models.repos import ConfigAutofill, PackageManager
from builds_async.models.seeds import SeedFile, SeedRepo
from builds_async.models.steps import BuildStep
from builds_async.models.subscriptions import EventDestination, EventSource, Subscription
from builds_async.models.tokens import BuildToken, TokenStatus
from builds_async.models.variables import NewVariable
from builds_async.models.workers import (
    BuildSettingsUpdate,
    FoundWorker,
    NewBuildSettings,
    NewGitRepository,
    WorkerBuildSettings,
    WorkerConfig,
    WorkerGitRepository,
    WorkerScript,
)

__all__ = [
    "AccountLimits",
    "AccountSubdomain",
    "Build",
    "BuildDeployHook",
    "BuildOutcome",
    "BuildSettingsUpdate",
    "BuildStatus",
    "BuildStep",
    "BuildToken",
    "BuildTriggerMetadata",
    "BuildTriggerSource",
    "CanceledBuild",
    "ConfigAutofill",
    "CredentialKind",
    "DeployHook",
    "DeployHookBuild",
    "DeployHookLatestBuild",
    "DeployedVersion",
    "Deployment",
    "Diagnosis",
    "EnvironmentVariable",
    "ErrorDetail",
    "EventDestination",
    "EventSource",
    "Finding",
    "FoundWorker",
    "LogEvent",
    "LogLine",
    "LogPage",
    "LogPosition",
    "NewBuildSettings",
    "NewGitRepository",
    "NewVariable",
    "PackageManager",
    "Page",
    "Preview",
    "ProviderType",
    "PullRequest",
    "RepoConnection",
    "ResultInfo",
    "SeedFile",
    "SeedRepo",
    "Subscription",
    "TokenStatus",
    "Trigger",
    "Version",
    "VersionMetadata",
    "WorkerBuildSettings",
    "WorkerConfig",
    "WorkerGitRepository",
    "WorkerScript",
    "WorkerSubdomain",
]
