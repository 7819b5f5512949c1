"""Build configurations of Workers."""

from typing import Any

import pytest

from builds_async.simulator import BuildsSimulator
from tests.simulator.support import REPOSITORY, UUID, token_of


def configuration(sim: BuildsSimulator, door: Any, tag: str, **fields: Any) -> dict[str, Any]:
    """The body of a new build configuration."""
    token = token_of(sim, door)
    production = {"build_command": "make", "deploy_command": "make deploy", "build_token_uuid": token}
    return {
        "script_tag": tag,
        "git_repository": {**REPOSITORY, "branch": "trunk"},
        "production_settings": production,
        "previews_enabled": False,
        "previews_base_config": {**production, "deploy_command": "npx wrangler preview"},
        **fields,
    }


class TestWorkerBuild:
    def test_view(self, sim: BuildsSimulator, door: Any) -> None:
        """The configuration of a Worker is that of its production trigger."""
        tag = sim.add_worker("shop")
        (trigger,) = door(sim).result(f"workers/{tag}/triggers")
        body = door(sim).result(f"workers/{tag}")
        assert (body["script_tag"], body["previews_enabled"]) == (tag, False)
        assert (body["git_repository"]["branch"], body["git_repository"]["repo_name"]) == ("main", "shop")
        for name in ("build_command", "deploy_command", "path_includes", "build_token_uuid"):
            assert body["production_settings"][name] == trigger[name]
        assert "previews_base_config" not in body

    def test_create(self, sim: BuildsSimulator, door: Any) -> None:
        """A creation is a 201 that adds a production trigger, and a second one is a 409."""
        tag = sim.add_worker("bare", connected=False)
        assert door(sim).error(f"workers/{tag}") == (404, 12000)
        body = configuration(sim, door, tag)
        body["production_settings"]["environment_variables"] = {"S": {"value": "hush", "is_secret": True}}
        response = door(sim)("workers", method="POST", body=body)
        assert (response.status, b"hush" in response.body) == (201, False)
        (trigger,) = door(sim).result(f"workers/{tag}/triggers")
        assert (trigger["branch_includes"], trigger["build_command"]) == (["trunk"], "make")
        made = door(sim).result(f"workers/{tag}")
        assert made["production_settings"]["environment_variables"]["S"]["value"] is None
        assert made["production_settings"]["build_caching_enabled"] is True
        assert made["previews_base_config"]["deploy_command"] == "npx wrangler preview"
        assert door(sim).error("workers", method="POST", body=body) == (409, 12049)

    def test_create_refused(self, sim: BuildsSimulator, door: Any) -> None:
        """An unknown Worker, an unknown token or a missing grant is refused."""
        bare = sim.add_worker("bare", connected=False)
        body = configuration(sim, door, bare)
        no_grant = body["git_repository"] | {"provider_type": "origin"}
        no_token = body["production_settings"] | {"build_token_uuid": UUID}
        for change, expected in (
            ({"script_tag": "0" * 32}, (404, 12000)),
            ({"production_settings": no_token}, (404, 12000)),
            ({"git_repository": no_grant}, (400, 12002)),
        ):
            assert door(sim).error("workers", method="POST", body=body | change) == expected
        granted = body | {"git_repository": no_grant | {"grant_id": "g"}}
        assert door(sim).result("workers", method="POST", body=granted)["git_repository"]["grant_id"] == "g"

    def test_update(self, sim: BuildsSimulator, door: Any) -> None:
        """An update keeps omitted fields, and a null variable is deleted."""
        tag = sim.add_worker("bare", connected=False)
        body = configuration(sim, door, tag)
        body["production_settings"]["environment_variables"] = {
            "A": {"value": "1", "is_secret": False},
            "B": {"value": "2", "is_secret": False},
        }
        before = door(sim).result("workers", method="POST", body=body)
        change = {
            "production_settings": {
                "build_command": "npm test",
                "environment_variables": {"A": None, "C": {"value": "3", "is_secret": False}},
            },
            "git_repository": {"branch": "main"},
        }
        after = door(sim).result(f"workers/{tag}", method="PATCH", body=change)
        variables = after["production_settings"].pop("environment_variables")
        assert list(variables) == ["B", "C"]
        del before["production_settings"]["environment_variables"]
        before["production_settings"]["build_command"] = "npm test"
        before["git_repository"]["branch"] = "main"
        assert after == before
        (trigger,) = door(sim).result(f"workers/{tag}/triggers")
        assert (trigger["branch_includes"], trigger["build_command"]) == (["main"], "npm test")

    def test_enabling_previews(self, sim: BuildsSimulator, door: Any) -> None:
        """Enabling Previews requires a base, existing or in the request; the first base must be complete."""
        tag = sim.add_worker()
        path, enable = f"workers/{tag}", {"previews_enabled": True}
        assert door(sim).error(path, method="PATCH", body=enable) == (400, 12002)
        partial = enable | {"previews_base_config": {"build_command": "x"}}
        assert door(sim).error(path, method="PATCH", body=partial) == (400, 12002)
        assert door(sim).result(path)["previews_enabled"] is False
        whole = configuration(sim, door, tag)["previews_base_config"]
        body = door(sim).result(path, method="PATCH", body=enable | {"previews_base_config": whole})
        assert body["previews_enabled"] is True
        assert body["previews_base_config"]["deploy_command"] == "npx wrangler preview"

    @pytest.mark.parametrize("everywhere", ["true", "false", None])
    def test_existing_previews(self, everywhere: str | None, sim: BuildsSimulator, door: Any) -> None:
        """A change of the base reaches existing Previews only if the query parameter says so."""
        tag = sim.add_worker()
        preview = sim.add_preview(tag, "feature")
        query = {} if everywhere is None else {"patch_existing_previews": everywhere}
        change = {"previews_base_config": {"build_command": "make preview"}}
        door(sim).result(f"workers/{tag}", method="PATCH", body=change, **query)
        settings = door(sim).result(f"workers/{tag}/previews/{preview}")["settings"]
        assert settings["build_command"] == ("make preview" if everywhere == "true" else "npm run build")
        later = sim.add_preview(tag, "later")
        settings = door(sim).result(f"workers/{tag}/previews/{later}")["settings"]
        assert settings["build_command"] == "make preview"

    def test_a_bad_update_changes_nothing(self, sim: BuildsSimulator, door: Any) -> None:
        """A bad update changes nothing, not even its valid part."""
        tag = sim.add_worker()
        before = door(sim).result(f"workers/{tag}")
        for change in (
            {"production_settings": {"build_command": "x"}, "git_repository": {"branch": "x" * 257}},
            {"production_settings": {"build_command": "x"}, "previews_enabled": True},
        ):
            assert door(sim).error(f"workers/{tag}", method="PATCH", body=change) == (400, 12002)
        bad = {"production_settings": {"build_command": "x", "build_token_uuid": UUID}}
        assert door(sim).error(f"workers/{tag}", method="PATCH", body=bad) == (404, 12000)
        assert door(sim).result(f"workers/{tag}") == before

    def test_deleted(self, sim: BuildsSimulator, door: Any) -> None:
        """A deletion removes triggers and Previews and cancels unfinished builds; the Worker stays."""
        tag = sim.add_worker("shop")
        preview = sim.add_preview(tag, "feature")
        builds = [sim.add_build(external_script_id=it) for it in (tag, preview)]
        done = sim.add_finished_build(external_script_id=tag)
        assert door(sim).result(f"workers/{tag}", method="DELETE") == "ok"
        assert [build.outcome for build in (*builds, done)] == ["cancelled", "cancelled", "success"]
        assert door(sim).result(f"workers/{tag}/triggers") == []
        assert door(sim).result(f"workers/{tag}/previews") == []
        for method in ("GET", "DELETE", "PATCH"):
            body = {"previews_enabled": False}
            assert door(sim).error(f"workers/{tag}", method=method, body=body) == (404, 12000)
        assert [it["tag"] for it in door(sim).result("/workers/scripts")] == [tag]
        assert len(door(sim).result(f"workers/{tag}/builds")) == 2


class TestMigration:
    def test_legacy(self, sim: BuildsSimulator, door: Any) -> None:
        """The migration replaces the legacy trigger with the Previews' base and the proposed command."""
        tag = sim.add_worker()
        legacy = sim.add_trigger(tag, build_command="make all")
        build = sim.add_build(external_script_id=tag, branch="feature")
        before = door(sim).result(f"workers/{tag}")
        assert before["previews_base_config"]["proposed_deploy_command"] == "npx wrangler preview"
        after = door(sim).result(f"workers/{tag}/migrate_to_previews", method="POST", body={})
        base = after["previews_base_config"]
        assert (base["deploy_command"], base["build_command"]) == ("npx wrangler preview", "make all")
        assert "proposed_deploy_command" not in base
        assert after["previews_enabled"] is True
        (left,) = door(sim).result(f"workers/{tag}/triggers")
        assert left["trigger_uuid"] != legacy
        assert build.outcome == "cancelled"
        again = door(sim).error(f"workers/{tag}/migrate_to_previews", method="POST", body={})
        assert again == (400, 12002)

    def test_another_command(self, sim: BuildsSimulator, door: Any) -> None:
        """A command that can't be rewritten requires a new one."""
        tag = sim.add_worker()
        sim.add_trigger(tag, deploy_command="make preview")
        path = f"workers/{tag}/migrate_to_previews"
        proposed = door(sim).result(f"workers/{tag}")["previews_base_config"]["proposed_deploy_command"]
        assert proposed is None
        assert door(sim).error(path, method="POST", body={}) == (400, 12002)
        assert len(door(sim).result(f"workers/{tag}/triggers")) == 2
        after = door(sim).result(path, method="POST", body={"deploy_command": "make it"})
        assert after["previews_base_config"]["deploy_command"] == "make it"

    def test_branch(self, sim: BuildsSimulator, door: Any) -> None:
        """The legacy trigger excludes a new production branch."""
        tag = sim.add_worker()
        sim.add_trigger(tag)
        change = {"git_repository": {"branch": "trunk"}}
        door(sim).result(f"workers/{tag}", method="PATCH", body=change)
        production, legacy = door(sim).result(f"workers/{tag}/triggers")
        assert (production["branch_includes"], legacy["branch_excludes"]) == (["trunk"], ["trunk"])

    def test_without_builds(self, sim: BuildsSimulator, door: Any) -> None:
        """A Worker without a configuration is a 404."""
        path = f"workers/{sim.add_worker(connected=False)}/migrate_to_previews"
        assert door(sim).error(path, method="POST", body={}) == (404, 12000)
