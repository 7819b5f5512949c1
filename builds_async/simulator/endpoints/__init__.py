"""The endpoints: one module per API resource, with functions declared by `routing.endpoint`."""

from builds_async.simulator.endpoints import (
    account,
    builds,
    deploy_hooks,
    deployments,
    previews,
    queues,
    repos,
    scripts,
    subscriptions,
    tokens,
    triggers,
    user,
    workers,
)
from builds_async.simulator.routing import Route

_RESOURCES = (
    account,
    builds,
    deploy_hooks,
    deployments,
    previews,
    queues,
    repos,
    scripts,
    subscriptions,
    tokens,
    triggers,
    user,
    workers,
)

ROUTES = tuple(
    declared for resource in _RESOURCES for declared in vars(resource).values() if isinstance(declared, Route)
)
"""Every endpoint of the simulated API."""
