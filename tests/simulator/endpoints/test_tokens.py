"""Build tokens."""

from typing import Any

from builds_async.simulator import BuildsSimulator, TokenKind
from tests.simulator.support import token_of


class TestTokens:
    def test_created(self, sim: BuildsSimulator, door: Any) -> None:
        """A token is listed as created, without its secret."""
        body = {"build_token_name": "ci", "build_token_secret": "hush", "cloudflare_token_id": "any text"}
        made = door(sim).result("tokens", method="POST", body=body)
        listed = door(sim)("tokens")
        assert (
            made | {"build_token_name": "ci", "cloudflare_token_id": "any text", "owner_type": "user"} == made
        )
        assert door(sim).result("tokens") == [made]
        assert b"hush" not in listed.body

    def test_deleted(self, sim: BuildsSimulator, door: Any) -> None:
        """A deletion responds with `ok`; afterwards the token is unknown, and no trigger can use it."""
        uuid = token_of(sim, door)
        assert door(sim).result(f"tokens/{uuid}", method="DELETE") == "ok"
        assert door(sim).error(f"tokens/{uuid}", method="DELETE") == (404, 12000)
        (trigger,) = door(sim).result(f"workers/{sim.add_worker()}/triggers")
        change = {"build_token_uuid": uuid}
        path = f"triggers/{trigger['trigger_uuid']}"
        assert door(sim).error(path, method="PATCH", body=change) == (404, 12000)

    def test_pages(self, sim: BuildsSimulator, door: Any) -> None:
        """The tokens of Workers are listed too, 50 per page."""
        for _ in range(51):
            sim.add_worker()
        body = door(sim).body("tokens", page=2)
        assert (len(body["result"]), body["result_info"]["total_count"]) == (1, 51)

    def test_reading(self, sim: BuildsSimulator, door: Any) -> None:
        """A read-only token can't create a token."""
        headers = {"authorization": f"Bearer {sim.add_token(TokenKind.READ_ONLY)}"}
        assert door(sim).error("tokens", method="POST", headers=headers, body={}) == (403, 10000)
        assert door(sim)("tokens", headers=headers).status == 200
