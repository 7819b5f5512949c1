"""Open enums: a `match` over the words of today is not exhaustive, whatever the checker.

Each line with an ignore is an error that both checkers must find: they report an ignore that is not needed.
"""

from typing import assert_never, assert_type

from builds_async import (
    Build,
    BuildEventType,
    BuildOutcome,
    BuildStatus,
    BuildTriggerSource,
    CredentialKind,
    PackageManager,
    ProviderType,
)


def status_forgotten(build: Build) -> str:
    match build.status:
        case BuildStatus.QUEUED | BuildStatus.INITIALIZING | BuildStatus.RUNNING | BuildStatus.STOPPED:
            return "known"
        case None:
            return "none"
        case _:
            assert_never(build.status)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def status_handled(status: BuildStatus) -> str:
    match status:
        case BuildStatus.QUEUED | BuildStatus.INITIALIZING | BuildStatus.RUNNING | BuildStatus.STOPPED:
            return "known"
        case _:
            return f"new: {status}"


def status_forgotten_in_ifs(status: BuildStatus) -> str:
    if status is BuildStatus.QUEUED or status is BuildStatus.INITIALIZING:
        return "waiting"
    if status is BuildStatus.RUNNING or status is BuildStatus.STOPPED:
        return "begun"
    assert_never(status)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def outcome(word: BuildOutcome) -> None:
    match word:
        case BuildOutcome.SUCCESS | BuildOutcome.FAIL | BuildOutcome.SKIPPED:
            pass
        case BuildOutcome.CANCELLED | BuildOutcome.TERMINATED:
            pass
        case _:
            assert_never(word)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def trigger_source(word: BuildTriggerSource) -> None:
    match word:
        case BuildTriggerSource.PUSH | BuildTriggerSource.PUSH_EVENT | BuildTriggerSource.PULL_REQUEST:
            pass
        case BuildTriggerSource.MANUAL | BuildTriggerSource.API | BuildTriggerSource.DEPLOY_HOOK:
            pass
        case _:
            assert_never(word)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def provider(word: ProviderType) -> None:
    match word:
        case ProviderType.GITHUB | ProviderType.GITLAB | ProviderType.GITLAB_INTERNAL | ProviderType.ORIGIN:
            pass
        case _:
            assert_never(word)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def package_manager(word: PackageManager) -> None:
    match word:
        case PackageManager.NPM | PackageManager.YARN | PackageManager.PNPM:
            pass
        case PackageManager.BUN | PackageManager.UV:
            pass
        case _:
            assert_never(word)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def event_type(word: BuildEventType) -> None:
    match word:
        case BuildEventType.QUEUED | BuildEventType.STARTED | BuildEventType.SUCCEEDED:
            pass
        case BuildEventType.FAILED | BuildEventType.CANCELED:
            pass
        case _:
            assert_never(word)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def credential_kind(word: CredentialKind) -> None:
    match word:
        case CredentialKind.USER_TOKEN | CredentialKind.ACCOUNT_TOKEN | CredentialKind.OAUTH_TOKEN:
            pass
        case CredentialKind.GLOBAL_KEY | CredentialKind.UNKNOWN:
            pass
        case _:
            assert_never(word)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def words(build: Build) -> None:
    assert_type(build.status, BuildStatus | None)
    assert_type(build.build_outcome, BuildOutcome | None)
    assert_type(BuildStatus("brand_new"), BuildStatus)
    assert_type([status.value for status in BuildStatus], list[str])
