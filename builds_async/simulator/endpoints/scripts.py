"""The lists of Workers, and the token that asks for them."""

from typing import Final
from uuid import NAMESPACE_OID, uuid5

from builds_async.simulator.endpoints.calls import Call, Reply, choice, paged
from builds_async.simulator.records import Json, Worker
from builds_async.simulator.refusals import BadQueryError
from builds_async.simulator.shapes import script_body, search_body

_MAX_PER_PAGE: Final = 100
_VALID: Final = {"code": 10000, "message": "This API Token is valid and active", "type": None}


def list_scripts(call: Call) -> Reply:
    """GET workers/scripts."""
    wanted = _tags(call.request.query.get("tags", ""))
    workers = [worker for worker in _workers(call) if worker.deployed and _fits(worker, wanted)]
    return Reply([script_body(call.state.calendar, worker) for worker in workers])


def search_scripts(call: Call) -> Reply:
    """GET workers/scripts-search."""
    query = call.request.query
    order = choice(call, "order_by", ("name", "created_on", "modified_on"))
    name, tag = query.get("name", ""), query.get("id")
    found = [
        worker
        for worker in _workers(call)
        if (worker.deployed or call.state.behaviour.undeployed_search)
        and name in worker.name
        and tag in (None, worker.tag)
    ]
    if order != "name":
        found.sort(key=lambda worker: worker.created if order == "created_on" else worker.modified)

    def body(worker: Worker) -> Json:
        return search_body(call.state.calendar, worker)

    return paged(call, found, body, default=10, largest=_MAX_PER_PAGE)


def verify_token(call: Call) -> Reply:
    """GET /user/tokens/verify."""
    token = call.request.headers.get("authorization", "").partition(" ")[2]
    return Reply({"id": uuid5(NAMESPACE_OID, token).hex, "status": "active"}, messages=[_VALID])


def _workers(call: Call) -> list[Worker]:
    """All Workers by name, without Previews."""
    return [call.state.scripts[tag] for _, tag in sorted(call.state.workers.items())]


def _tags(text: str) -> dict[str, bool]:
    """Whether Workers shall have a tag, by tag."""
    wanted = {}
    for pair in text.split(",") if text else ():
        tag, _, allowed = pair.rpartition(":")
        if not tag or allowed not in {"yes", "no"}:
            raise BadQueryError
        wanted[tag] = allowed == "yes"
    return wanted


def _fits(worker: Worker, wanted: dict[str, bool]) -> bool:
    return all((tag in worker.tags) is allowed for tag, allowed in wanted.items())
