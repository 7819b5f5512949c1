"""Versions and deployments of Workers, and subdomains. These endpoints take a Worker's name, not its tag."""

from typing import TypeVar

from builds_async.simulator.records import Worker
from builds_async.simulator.refusals import NoEnvironmentError, NoScriptError
from builds_async.simulator.routing import Call, Reply, endpoint

T = TypeVar("T")

_SHOWN = 10

_SCRIPT = "/workers/scripts/{script_name}"


@endpoint("worker-deployments-list-deployments", "GET", f"{_SCRIPT}/deployments", "scripts:read")
def list_deployments(call: Call) -> Reply:
    """The 10 newest deployments of a Worker, newest first. The query can't select another page."""
    newest = call.account.deployments_of(_worker(call).tag)[: -_SHOWN - 1 : -1]
    return Reply({"deployments": [call.views.deployment(it) for it in newest]})


@endpoint(
    "worker-deployments-get-deployment", "GET", f"{_SCRIPT}/deployments/{{deployment_id}}", "scripts:read"
)
def get_deployment(call: Call) -> Reply:
    """One deployment of a Worker, however old."""
    found = {it.id: it for it in call.account.deployments_of(_worker(call).tag)}
    return Reply(call.views.deployment(_known(found.get(call.names["deployment_id"]))))


@endpoint("worker-versions-list-versions", "GET", f"{_SCRIPT}/versions", "scripts:read")
def list_versions(call: Call) -> Reply:
    """A page of a Worker's versions, newest first. With `deployable=true`, all of them without paging."""
    versions = [*enumerate(call.account.versions_of(_worker(call).tag), 1)][::-1]
    if call.choice("deployable", ("false", "true")) == "true":
        return Reply({"items": [call.views.version(it) for it in versions]})
    page = call.page(versions, call.views.version, default=10, largest=100)
    return Reply({"items": page.result}, page.result_info)


@endpoint("worker-versions-get-version-detail", "GET", f"{_SCRIPT}/versions/{{version_id}}", "scripts:read")
def get_version(call: Call) -> Reply:
    """One version of a Worker, with its resources."""
    versions = enumerate(call.account.versions_of(_worker(call).tag), 1)
    found = {version.id: (number, version) for number, version in versions}
    return Reply(call.views.single_version(_known(found.get(call.names["version_id"]))))


@endpoint("worker-subdomain-get-subdomain", "GET", "/workers/subdomain", "scripts:read")
def get_subdomain(call: Call) -> Reply:
    """The account's subdomain."""
    return Reply({"subdomain": _known(call.account.subdomain)})


@endpoint("worker-script-get-subdomain", "GET", f"{_SCRIPT}/subdomain", "scripts:read")
def get_script_subdomain(call: Call) -> Reply:
    """Whether a Worker and its versions are served below the subdomain."""
    worker = _worker(call)
    return Reply({"enabled": worker.workers_dev, "previews_enabled": worker.preview_urls})


def _worker(call: Call) -> Worker:
    tag = call.account.workers.get(call.names["script_name"])
    if tag is None and call.account.behavior.unknown_script == NoEnvironmentError.code:
        raise NoEnvironmentError
    return call.account.scripts[_known(tag)]


def _known(thing: T | None) -> T:
    if thing is None:
        raise NoScriptError
    return thing
