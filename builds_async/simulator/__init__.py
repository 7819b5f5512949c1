"""An embedded Workers Builds for tests, demos and offline work: `BuildsSimulator`.

`async with BuildsSimulator() as sim:` serves the whole API of Workers Builds at `sim.url`. The command
`python -m builds_async.simulator` serves one with a few builds until it is interrupted.
"""

from builds_async.simulator.behaviour import Behaviour, RateLimit, TokenKind
from builds_async.simulator.builds import BuildDetails, BuildOptions, Moment, SimulatedBuild
from builds_async.simulator.clock import VirtualClock
from builds_async.simulator.faults import Fault, FaultKind
from builds_async.simulator.messages import Answer, Request, SeenRequest
from builds_async.simulator.queues import QueueDetails, QueueOptions, SimulatedQueue
from builds_async.simulator.scripts import build_script
from builds_async.simulator.simulator import BuildsSimulator
from builds_async.simulator.state import TriggerOptions

__all__ = [
    "Answer",
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
    "SeenRequest",
    "SimulatedBuild",
    "SimulatedQueue",
    "TokenKind",
    "TriggerOptions",
    "VirtualClock",
    "build_script",
]
