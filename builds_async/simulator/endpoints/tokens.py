"""Build tokens."""

import msgspec

from builds_async.simulator.routing import Call, Reply, endpoint


class NewToken(msgspec.Struct, kw_only=True):
    """An API token to register for builds."""

    build_token_name: str
    build_token_secret: str
    cloudflare_token_id: str


@endpoint("listBuildTokens", "GET", "/builds/tokens", "builds:read")
def list_tokens(call: Call) -> Reply:
    """A page of the build tokens."""
    return call.page(list(call.account.build_tokens.values()), call.views.token)


@endpoint("createBuildToken", "POST", "/builds/tokens", "builds:write")
def create_token(call: Call) -> Reply:
    """Register an API token. The secret is not stored."""
    new = call.read(NewToken)
    token = call.account.register_token(new.build_token_name, new.cloudflare_token_id)
    return Reply(call.views.token(token))


@endpoint("deleteBuildToken", "DELETE", "/builds/tokens/{build_token_uuid}", "builds:write")
def delete_token(call: Call) -> Reply:
    """Delete a build token."""
    token = call.find(call.account.build_tokens, "build_token_uuid")
    del call.account.build_tokens[token.build_token_uuid]
    return Reply("ok")  # as seen live; the schema has null
