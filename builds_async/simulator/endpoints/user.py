"""The user's own API token."""

from uuid import NAMESPACE_OID, uuid5

from builds_async.simulator.routing import Call, Reply, endpoint

_VALID = {"code": 10000, "message": "This API Token is valid and active", "type": None}


@endpoint("verifyToken", "GET", "/user/tokens/verify", "user", scope="root")
def verify_token(call: Call) -> Reply:
    """The id and status of the request's own token."""
    token = call.request.headers.get("authorization", "").partition(" ")[2]
    return Reply({"id": uuid5(NAMESPACE_OID, token).hex, "status": "active"}, messages=[_VALID])
