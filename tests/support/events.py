"""Build events as the documentation shows them."""

from typing import Any

PREFIX = "cf.workersBuilds.worker.build."


def wire(
    kind: str = "failed", status: Any = "failed", outcome: Any = "failure", **payload: Any
) -> dict[str, Any]:
    """An event as the documentation shows it."""
    return {
        "type": PREFIX + kind,
        "source": {"type": "workersBuilds.worker", "workerName": "shop"},
        "payload": {
            "buildUuid": "b-1",
            "status": status,
            "buildOutcome": outcome,
            "createdAt": "2026-08-13T02:33:54.080Z",
            "initializingAt": "2026-08-13T02:33:55.000Z",
            "runningAt": "2026-08-13T02:33:58.000Z",
            "stoppedAt": "2026-08-13T02:34:40.500Z",
            "buildTriggerMetadata": {
                "buildTriggerSource": "push_event",
                "branch": "main",
                "commitHash": "",
                "commitMessage": "Fix",
                "author": "ada",
                "buildCommand": "npm run build",
                "deployCommand": "npx wrangler deploy",
                "rootDirectory": "/",
                "repoName": "shop",
                "providerAccountName": "acme",
                "providerType": "github",
            },
            **payload,
        },
        "metadata": {
            "accountId": "0123456789abcdef0123456789abcdef",
            "eventSubscriptionId": "fedcba9876543210fedcba9876543210",
            "eventSchemaVersion": 1,
            "eventTimestamp": "2026-08-13T02:34:41.000Z",
        },
    }
