"""The lists of Workers."""

from builds_async.simulator.records import Worker
from builds_async.simulator.refusals import BadQueryError
from builds_async.simulator.routing import Call, Reply, endpoint


@endpoint("worker-script-list-workers", "GET", "/workers/scripts", "scripts:read")
def list_scripts(call: Call) -> Reply:
    """All deployed Workers, optionally filtered by tags."""
    wanted = _tags(call.request.query.get("tags", ""))
    workers = [worker for worker in _workers(call) if worker.deployed and _fits(worker, wanted)]
    return Reply([call.views.script(worker) for worker in workers])


@endpoint("worker-script-search-workers", "GET", "/workers/scripts-search", "scripts:read")
def search_scripts(call: Call) -> Reply:
    """A page of the Workers that match part of a name, or a whole tag."""
    query = call.request.query
    order = call.choice("order_by", ("name", "created_on", "modified_on"))
    name, tag = query.get("name", ""), query.get("id")
    found = [
        worker
        for worker in _workers(call)
        if (worker.deployed or call.account.behavior.undeployed_search)
        and name in worker.name
        and tag in (None, worker.tag)
    ]
    if order != "name":
        found.sort(key=lambda worker: worker.created_on if order == "created_on" else worker.modified_on)
    return call.page(found, call.views.found_script, default=10, largest=100)


def _workers(call: Call) -> list[Worker]:
    """All Workers in the order of their names, without Previews."""
    return [call.account.scripts[tag] for _, tag in sorted(call.account.workers.items())]


def _tags(text: str) -> dict[str, bool]:
    """The tags of the filter: True for a tag that Workers must have, False for one that they must not."""
    wanted = {}
    for pair in text.split(",") if text else ():
        tag, _, allowed = pair.rpartition(":")
        if not tag or allowed not in {"yes", "no"}:
            raise BadQueryError
        wanted[tag] = allowed == "yes"
    return wanted


def _fits(worker: Worker, wanted: dict[str, bool]) -> bool:
    return all((tag in worker.tags) is allowed for tag, allowed in wanted.items())
