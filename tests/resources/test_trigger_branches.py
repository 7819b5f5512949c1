"""The branches of triggers, and the number of triggers that a Worker may have."""

import logging
from typing import Any

import pytest

from builds_async import BadRequestError, BuildsClient, ConflictError
from builds_async.simulator import Behavior, BuildsSimulator, VirtualClock
from tests.support import MockApi, envelope
from tests.support.operations import NEW_TRIGGER, UUID


@pytest.mark.parametrize("name", ["branch_includes", "branch_excludes"])
@pytest.mark.parametrize("call", ["create", "update"])
async def test_a_partial_wildcard_is_logged(
    call: str, name: str, api: MockApi, client: BuildsClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A partial wildcard is sent, with one warning that states the reason."""
    api.on("POST", "/builds/triggers", envelope({"trigger_uuid": UUID}))
    api.on("PATCH", f"/builds/triggers/{UUID}", envelope({"trigger_uuid": UUID}))
    branches: Any = {name: ["main", "preview/*"]}
    if call == "create":
        await client.triggers.create(**NEW_TRIGGER | branches)
    else:
        await client.triggers.update(UUID, **branches)
    assert len(api.sent) == 1
    [record] = [it for it in caplog.records if it.levelno == logging.WARNING and name in it.getMessage()]
    assert "'preview/*'" in record.getMessage()
    assert "12002" in record.getMessage()


@pytest.mark.parametrize("branches", [["*"], ["main"], [], ["preview/x"]], ids=repr)
async def test_other_branches_are_not_logged(
    branches: list[str], api: MockApi, client: BuildsClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Whole branch names and the single wildcard are not logged."""
    api.on("PATCH", f"/builds/triggers/{UUID}", envelope({"trigger_uuid": UUID}))
    await client.triggers.update(UUID, branch_includes=branches)
    assert [it.getMessage() for it in caplog.records if it.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(("status", "error"), [(400, BadRequestError), (409, ConflictError)])
async def test_a_third_trigger(status: Any, error: type[Exception]) -> None:
    """The error for code 12030 explains that a Worker has at most two triggers."""
    sim = BuildsSimulator(clock=VirtualClock(), behavior=Behavior(third_trigger=status))
    tag = sim.add_worker("shop")
    sim.add_trigger(tag)
    async with sim.client() as client:
        known, _ = await client.triggers.list(tag)
        assert known.repo_connection is not None
        new = {
            **NEW_TRIGGER,
            "external_script_id": tag,
            "repo_connection_uuid": known.repo_connection.repo_connection_uuid,
            "build_token_uuid": known.build_token_uuid,
        }
        with pytest.raises(error, match="at most two triggers, one for production"):
            await client.triggers.create(**new)
