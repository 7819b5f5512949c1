"""Repository connections."""

from typing import Any

import pytest

from builds_async.simulator import BuildsSimulator, VirtualClock
from tests.simulator.support import REPOSITORY

CONNECTIONS = "repos/connections"


class TestConnections:
    async def test_upsert(self, sim: BuildsSimulator, clock: VirtualClock, door: Any) -> None:
        """The same repository keeps its UUID and gets a newer date; another provider's is a different one."""
        ask = door(sim)
        first = ask.result(CONNECTIONS, method="PUT", body=REPOSITORY)
        await clock.sleep(1.0)
        renamed = REPOSITORY | {"repo_name": "renamed"}
        second = ask.result(CONNECTIONS, method="PUT", body=renamed)
        other = ask.result(CONNECTIONS, method="PUT", body=REPOSITORY | {"provider_type": "gitlab"})
        assert second == first | {"repo_name": "renamed", "modified_on": second["modified_on"]}
        assert second["modified_on"] > first["modified_on"]
        assert other["repo_connection_uuid"] != first["repo_connection_uuid"]

    def test_deleted(self, sim: BuildsSimulator, door: Any) -> None:
        """Triggers show when their connection was deleted, and the repository gets a new one."""
        tag = sim.add_worker("shop")
        (trigger,) = door(sim).result(f"workers/{tag}/triggers")
        before = trigger["repo_connection"]
        path = f"{CONNECTIONS}/{before['repo_connection_uuid']}"
        assert door(sim).result(path, method="DELETE") is None
        assert door(sim).error(path, method="DELETE") == (404, 12000)
        (trigger,) = door(sim).result(f"workers/{tag}/triggers")
        assert trigger["repo_connection"]["deleted_on"]
        body = {name: before[name] for name in REPOSITORY}
        new = door(sim).result(CONNECTIONS, method="PUT", body=body)
        assert new["repo_connection_uuid"] != before["repo_connection_uuid"]
        assert new["deleted_on"] is None

    @pytest.mark.parametrize(("repository", "code"), [(None, 8000008), ("5", 8000012), ("6", None)])
    def test_refused(self, repository: str | None, code: int | None, sim: BuildsSimulator, door: Any) -> None:
        """A refused account or repository is a 404 with its own code, for the autofill too."""
        sim.refuse_repository("77", repository)
        autofill = "repos/github/77/5/config_autofill"
        if code is None:
            assert door(sim)(CONNECTIONS, method="PUT", body=REPOSITORY).status == 200
        else:
            assert door(sim).error(CONNECTIONS, method="PUT", body=REPOSITORY) == (404, code)
            assert door(sim).error(autofill, branch="main") == (404, code)

    def test_autofill(self, sim: BuildsSimulator, door: Any) -> None:
        """The autofill has all fields and requires a branch and a known provider."""
        door(sim).result(CONNECTIONS, method="PUT", body=REPOSITORY)
        found = door(sim).result("repos/github/77/5/config_autofill", branch="main")
        assert (found["default_worker_name"], found["package_manager"]) == ("site", "npm")
        assert found.keys() == {
            "config_file",
            "default_worker_name",
            "env_worker_names",
            "scripts",
            "package_manager",
        }
        unknown = door(sim).result("repos/github/77/6/config_autofill", branch="main")
        assert unknown["default_worker_name"] is None
        assert door(sim).error("repos/github/77/5/config_autofill") == (400, 12013)
        assert door(sim).error("repos/svn/77/5/config_autofill", branch="main") == (404, 12000)
