"""An embedded Workers Builds for tests, demos and offline work: `BuildsSimulator`.

`sim.client()` returns a client that needs no socket; `async with BuildsSimulator() as sim:` also serves the
API at `sim.url`. The command `builds-async simulate` serves an account with several builds.
"""

from builds_async.simulator.behavior import Behavior, Behaviour, RateLimit, TokenKind
from builds_async.simulator.build_details import BuildDetails, BuildOptions, Moment
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.clock import VirtualClock
from builds_async.simulator.faults import Fault, FaultKind
from builds_async.simulator.messages import Answer, Request, Response, SeenRequest
from builds_async.simulator.queues import QueueDetails, QueueOptions, SimulatedQueue
from builds_async.simulator.scripts import build_script
from builds_async.simulator.setup import TriggerOptions
from builds_async.simulator.simulator import BuildsSimulator

__all__ = [
    "Answer",
    "Behavior",
    "Behaviour",
    "BuildDetails",
    "BuildOptions",
    "BuildsSimulator",
    "Fault",
    "FaultKind",
    "Moment",
    "QueueDetails",
    "QueueOptions",
    "RateLimit",
    "Request",
    "Response",
    "SeenRequest",
    "SimulatedBuild",
    "SimulatedQueue",
    "TokenKind",
    "TriggerOptions",
    "VirtualClock",
    "build_script",
]
