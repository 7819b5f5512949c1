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
from builds_async.live.events import EventStream
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
from builds_async.models.events import BuildEvent, BuildEventType
from builds_async.models.queues import QueueBatch, QueueMessage
from builds_async.resources.bulk import BulkResult
from builds_async.session.budget import BudgetSnapshot, RateBudget
from builds_async.session.clock import Clock, SystemClock
from builds_async.session.observe import Counters, Observation, Observer, RequestDone, RetryPlanned, Waited
from builds_async.session.retry import RetryPolicy

__all__ = [
    "APIError",
    "AuthenticationError",
    "BadRequestError",
    "BudgetSnapshot",
    "Build",
    "BuildChange",
    "BuildDeployHook",
    "BuildEvent",
    "BuildEventType",
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
    "Counters",
    "EnvironmentVariable",
    "ErrorDetail",
    "EventStream",
    "InternalServerError",
    "LogEvent",
    "LogFollower",
    "LogLine",
    "LogPage",
    "LogPosition",
    "NotFoundError",
    "Observation",
    "Observer",
    "Page",
    "PermissionDeniedError",
    "ProviderType",
    "PullRequest",
    "QueueBatch",
    "QueueMessage",
    "RateBudget",
    "RateLimitError",
    "RepoConnection",
    "RequestDone",
    "ResponseDecodeError",
    "ResultInfo",
    "RetryPlanned",
    "RetryPolicy",
    "SystemClock",
    "TailLine",
    "TailLog",
    "TailPosition",
    "Trigger",
    "Waited",
    "WorkerMark",
    "__version__",
]
