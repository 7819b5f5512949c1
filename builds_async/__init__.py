"""Cloudflare Workers Builds for asyncio: await a build, follow its log live, look up many Workers at once."""

from builds_async._version import __version__
from builds_async.client import BuildsClient
from builds_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
    ConfigurationError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
)
from builds_async.live.follow import LogFollower
from builds_async.live.tail import BuildTail, TailLine, TailLog, TailPosition
from builds_async.live.tracker import BuildChange, WorkerMark
from builds_async.live.watch import BuildWatcher
from builds_async.models import (
    Build,
    BuildDeployHook,
    BuildOutcome,
    BuildStatus,
    BuildTriggerMetadata,
    BuildTriggerSource,
    CanceledBuild,
    EnvironmentVariable,
    ErrorDetail,
    LogEvent,
    LogLine,
    LogPage,
    LogPosition,
    Page,
    ProviderType,
    PullRequest,
    RepoConnection,
    ResultInfo,
    Trigger,
)
from builds_async.resources.bulk import BulkResult
from builds_async.session.budget import BudgetSnapshot, RateBudget
from builds_async.session.clock import Clock, SystemClock
from builds_async.session.retry import RetryPolicy

__all__ = [
    "APIError",
    "AuthenticationError",
    "BadRequestError",
    "BudgetSnapshot",
    "Build",
    "BuildChange",
    "BuildDeployHook",
    "BuildOutcome",
    "BuildStatus",
    "BuildTail",
    "BuildTriggerMetadata",
    "BuildTriggerSource",
    "BuildWatcher",
    "BuildsClient",
    "BuildsConnectionError",
    "BuildsError",
    "BuildsTimeoutError",
    "BulkResult",
    "CanceledBuild",
    "Clock",
    "ConfigurationError",
    "ConflictError",
    "EnvironmentVariable",
    "ErrorDetail",
    "InternalServerError",
    "LogEvent",
    "LogFollower",
    "LogLine",
    "LogPage",
    "LogPosition",
    "NotFoundError",
    "Page",
    "PermissionDeniedError",
    "ProviderType",
    "PullRequest",
    "RateBudget",
    "RateLimitError",
    "RepoConnection",
    "ResponseDecodeError",
    "ResultInfo",
    "RetryPolicy",
    "SystemClock",
    "TailLine",
    "TailLog",
    "TailPosition",
    "Trigger",
    "WorkerMark",
    "__version__",
]
