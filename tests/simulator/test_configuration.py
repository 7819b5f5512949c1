"""Build tokens, repository connections, build configurations of Workers, and Previews."""

from typing import Any

import pytest

from builds_async.simulator import Behaviour, BuildsSimulator, TokenKind, VirtualClock

UUID = "8d3b7a4e-3c57-4e0a-9a39-0a3f6c0f3b11"
REPOSITORY = {
    "provider_type": "github",
    "provider_account_id": "77",
    "provider_account_name": "acme",
    "repo_id": "5",
    "repo_name": "site",
}
CONNECTIONS = "repos/connections"


def token_of(sim: BuildsSimulator, door: Any) -> str:
    """A build token that exists."""
    body = {"build_token_name": "t", "build_token_secret": "hush", "cloudflare_token_id": "id"}
    uuid: str = door(sim).result("tokens", method="POST", body=body)["build_token_uuid"]
    return uuid


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


class TestTokens:
    def test_created(self, sim: BuildsSimulator, door: Any) -> None:
        """A token is listed as it was created, without its secret."""
        body = {"build_token_name": "ci", "build_token_secret": "hush", "cloudflare_token_id": "any text"}
        made = door(sim).result("tokens", method="POST", body=body)
        listed = door(sim)("tokens")
        assert (
            made | {"build_token_name": "ci", "cloudflare_token_id": "any text", "owner_type": "user"} == made
        )
        assert door(sim).result("tokens") == [made]
        assert b"hush" not in listed.body

    def test_deleted(self, sim: BuildsSimulator, door: Any) -> None:
        """The answer is `ok`; a second time it is unknown, and no trigger can be given it."""
        uuid = token_of(sim, door)
        assert door(sim).result(f"tokens/{uuid}", method="DELETE") == "ok"
        assert door(sim).error(f"tokens/{uuid}", method="DELETE") == (404, 12000)
        (trigger,) = door(sim).result(f"workers/{sim.add_worker()}/triggers")
        change = {"build_token_uuid": uuid}
        path = f"triggers/{trigger['trigger_uuid']}"
        assert door(sim).error(path, method="PATCH", body=change) == (404, 12000)

    def test_pages(self, sim: BuildsSimulator, door: Any) -> None:
        """Those of the Workers are listed too, 50 to a page."""
        for _ in range(51):
            sim.add_worker()
        body = door(sim).body("tokens", page=2)
        assert (len(body["result"]), body["result_info"]["total_count"]) == (1, 51)

    def test_reading(self, sim: BuildsSimulator, door: Any) -> None:
        """A token that may only read creates nothing."""
        headers = {"authorization": f"Bearer {sim.add_token(TokenKind.READ_ONLY)}"}
        assert door(sim).error("tokens", method="POST", headers=headers, body={}) == (403, 10000)
        assert door(sim)("tokens", headers=headers).status == 200


class TestConnections:
    async def test_upsert(self, sim: BuildsSimulator, clock: VirtualClock, door: Any) -> None:
        """The same repository keeps its UUID and gets a newer date; another provider's is another."""
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
        """Its triggers show the date; the repository gets a new connection."""
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
        """404 with the code for the account or the repository, also for what is told of it."""
        sim.refuse_repository("77", repository)
        autofill = "repos/github/77/5/config_autofill"
        if code is None:
            assert door(sim)(CONNECTIONS, method="PUT", body=REPOSITORY).status == 200
        else:
            assert door(sim).error(CONNECTIONS, method="PUT", body=REPOSITORY) == (404, code)
            assert door(sim).error(autofill, branch="main") == (404, code)

    def test_autofill(self, sim: BuildsSimulator, door: Any) -> None:
        """All fields are there; a branch is needed, and a provider that is known."""
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
        """201; the Worker has a production trigger then, and can't be configured twice."""
        tag = sim.add_worker("bare", connected=False)
        assert door(sim).error(f"workers/{tag}") == (404, 12000)
        body = configuration(sim, door, tag)
        body["production_settings"]["environment_variables"] = {"S": {"value": "hush", "is_secret": True}}
        answer = door(sim)("workers", method="POST", body=body)
        assert (answer.status, b"hush" in answer.body) == (201, False)
        (trigger,) = door(sim).result(f"workers/{tag}/triggers")
        assert (trigger["branch_includes"], trigger["build_command"]) == (["trunk"], "make")
        made = door(sim).result(f"workers/{tag}")
        assert made["production_settings"]["environment_variables"]["S"]["value"] is None
        assert made["production_settings"]["build_caching_enabled"] is True
        assert made["previews_base_config"]["deploy_command"] == "npx wrangler preview"
        assert door(sim).error("workers", method="POST", body=body) == (409, 12049)

    def test_create_refused(self, sim: BuildsSimulator, door: Any) -> None:
        """Of an unknown Worker, with an unknown token, or without the grant that a provider needs."""
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
        """What is omitted stays; a variable that is null is deleted."""
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
        """Needs a base, there or in the same request; the first one must be complete."""
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
        """A change of the base reaches the Previews that there are only if it is told to."""
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
        """Though a part of it is good."""
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
        """Triggers and Previews go and unfinished builds are cancelled; the Worker stays."""
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
        """The legacy trigger becomes the base of the Previews, with the proposed command, and is gone."""
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
        """What can't be rewritten needs a command of its own."""
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
        """A new production branch is none of the legacy trigger's."""
        tag = sim.add_worker()
        sim.add_trigger(tag)
        change = {"git_repository": {"branch": "trunk"}}
        door(sim).result(f"workers/{tag}", method="PATCH", body=change)
        production, legacy = door(sim).result(f"workers/{tag}/triggers")
        assert (production["branch_includes"], legacy["branch_excludes"]) == (["trunk"], ["trunk"])

    def test_without_builds(self, sim: BuildsSimulator, door: Any) -> None:
        """A Worker without a configuration is 404."""
        path = f"workers/{sim.add_worker(connected=False)}/migrate_to_previews"
        assert door(sim).error(path, method="POST", body={}) == (404, 12000)


class TestPreviews:
    @pytest.fixture
    def tag(self, sim: BuildsSimulator) -> str:
        """A Worker."""
        return sim.add_worker("shop")

    def test_listed(self, tag: str, sim: BuildsSimulator, door: Any) -> None:
        """In pages, of their Worker, without the settings that the look-up has."""
        one, other = (sim.add_preview(tag, branch) for branch in ("one", "other"))
        sim.add_preview(sim.add_worker(), "one")
        summary = {"preview_id": other, "branch": "other", "auto_build": True, "auto_delete": True}
        body = door(sim).body(f"workers/{tag}/previews", page=2, per_page=1)
        assert (body["result"], body["result_info"]["total_count"]) == ([summary], 2)
        single = door(sim).result(f"workers/{tag}/previews/{one}")
        assert single.keys() == summary.keys() | {"settings"}
        assert door(sim).error(f"workers/{sim.add_worker()}/previews/{one}") == (404, 12000)
        assert door(sim).error(f"workers/{tag}/previews/{'0' * 32}") == (404, 12000)

    def test_update(self, tag: str, sim: BuildsSimulator, door: Any) -> None:
        """What is omitted stays; the branch of another Preview is taken."""
        one = sim.add_preview(tag, "one")
        sim.add_preview(tag, "other")
        path = f"workers/{tag}/previews/{one}"
        before = door(sim).result(path)
        change = {"branch": "new", "auto_build": False, "settings": {"build_command": "make"}}
        after = door(sim).result(path, method="PATCH", body=change)
        settings = before["settings"] | {"build_command": "make"}
        assert after == before | {"branch": "new", "auto_build": False, "settings": settings}
        assert door(sim).error(path, method="PATCH", body={"branch": "other"}) == (409, 12049)
        assert door(sim).error(path, method="PATCH", body={}) == (400, 12002)
        assert door(sim).result(path) == after

    def test_builds(self, tag: str, sim: BuildsSimulator, door: Any) -> None:
        """They are of the Preview and not of its Worker; their trigger can't be asked for."""
        preview = sim.add_preview(tag, "feature")
        path = f"workers/{tag}/previews/{preview}/builds"
        made = door(sim).result(path, method="POST", body={"commit_hash": "abc"})
        assert door(sim).result(path) == [made] == door(sim).result(f"workers/{preview}/builds")
        assert door(sim).result(f"workers/{tag}/builds") == []
        assert door(sim).result(f"builds/{made['build_uuid']}") == made
        assert made["build_trigger_metadata"]["branch"] == "feature"
        assert made["build_trigger_metadata"]["deploy_command"] == "npx wrangler preview"
        assert door(sim).result(f"workers/{preview}/triggers") == []
        trigger = f"triggers/{made['trigger']['trigger_uuid']}"
        assert door(sim).error(f"{trigger}/purge_build_cache", method="POST") == (404, 12000)
        assert door(sim).error(path, method="POST", body={}) == (400, 12002)

    def test_listed_builds(self, clock: VirtualClock, door: Any) -> None:
        """They may be listed for their Worker too."""
        sim = BuildsSimulator(clock=clock, behaviour=Behaviour(preview_builds="listed"))
        tag = sim.add_worker()
        build = sim.add_build(external_script_id=sim.add_preview(tag, "feature"))
        (listed,) = door(sim).result(f"workers/{tag}/builds")
        assert listed["build_uuid"] == build.build_uuid

    def test_added(self, tag: str, sim: BuildsSimulator) -> None:
        """One for a branch, of a Worker that has builds and is no Preview itself."""
        preview = sim.add_preview(tag, "feature")
        for where in (tag, preview, sim.add_worker(connected=False)):
            with pytest.raises(ValueError, match=r"can't have a Preview of|no Worker with the tag"):
                sim.add_preview(where, "feature")
