"""Build tokens."""

from builds_async.simulator.endpoints.calls import Call, Reply, known, paged, read
from builds_async.simulator.endpoints.requests import NewToken
from builds_async.simulator.shapes import token_body


def list_tokens(call: Call) -> Reply:
    """GET builds/tokens."""
    return paged(call, list(call.state.registry.tokens.values()), token_body)


def create_token(call: Call) -> Reply:
    """POST builds/tokens."""
    asked = read(call, NewToken)
    return Reply(token_body(call.state.registry.add_token(asked.build_token_name, asked.cloudflare_token_id)))


def delete_token(call: Call) -> Reply:
    """DELETE builds/tokens/{build_token_uuid}."""
    tokens, uuid = call.state.registry.tokens, call.names["build_token_uuid"]
    known(tokens, uuid)
    del tokens[uuid]
    return Reply("ok")  # as seen live; the schema has null
