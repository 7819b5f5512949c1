"""Previews and their builds."""

from typing import Any

import pytest

from builds_async.simulator import Behavior, BuildsSimulator, VirtualClock


class TestPreviews:
    @pytest.fixture
    def tag(self, sim: BuildsSimulator) -> str:
        """The tag of a Worker."""
        return sim.add_worker("shop")

    def test_listed(self, tag: str, sim: BuildsSimulator, door: Any) -> None:
        """The list of Previews is paged and has no settings; the lookup has them."""
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
        """An update keeps omitted fields, and another Preview's branch is a conflict."""
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
        """A Preview's builds are listed for it and not for its Worker; their trigger can't be looked up."""
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
        """A Preview's builds are listed for its Worker too, if the switch says so."""
        sim = BuildsSimulator(clock=clock, behavior=Behavior(preview_builds="listed"))
        tag = sim.add_worker()
        build = sim.add_build(external_script_id=sim.add_preview(tag, "feature"))
        (listed,) = door(sim).result(f"workers/{tag}/builds")
        assert listed["build_uuid"] == build.build_uuid

    def test_added(self, tag: str, sim: BuildsSimulator) -> None:
        """A branch has one Preview, for a Worker with builds that is no Preview itself."""
        preview = sim.add_preview(tag, "feature")
        for where in (tag, preview, sim.add_worker(connected=False)):
            with pytest.raises(ValueError, match=r"can't have a Preview of|no Worker with the tag"):
                sim.add_preview(where, "feature")
