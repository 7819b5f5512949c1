"""A pytest plugin with a simulated account: fixtures for tests of programs that use `builds_async`.

pytest finds it by itself. A test that uses none of the fixtures pays nothing: the first fixture that is used
imports what they need. They are plain functions, so they work in tests without a plugin for coroutines, and
with pytest-asyncio (both modes) and the plugin of anyio (on asyncio).
"""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from builds_async.client import BuildsClient
    from builds_async.simulator import BuildsSimulator, VirtualClock

# Each pytest run loads this file, so nothing of ours is imported at its top.
_BASE_URL = "http://127.0.0.1/client/v4"  # nothing is sent there


@pytest.fixture
def builds_clock() -> "VirtualClock":
    """The clock of the other fixtures: minutes pass as soon as every task of the test waits for it."""
    from builds_async.simulator import VirtualClock  # noqa: PLC0415  # see above

    return VirtualClock()


@pytest.fixture
def builds_simulator(builds_clock: "VirtualClock") -> "BuildsSimulator":
    """A simulated account on `builds_clock`, empty. It is not served: `async with` it for a real socket."""
    from builds_async.simulator import BuildsSimulator  # noqa: PLC0415  # see above

    return BuildsSimulator(clock=builds_clock)


@pytest.fixture
def builds_client(builds_simulator: "BuildsSimulator") -> "BuildsClient":
    """A client of `builds_simulator`, without a socket: it holds nothing open and need not be closed."""
    return builds_simulator.client()


@pytest.fixture
def builds_environ(
    builds_simulator: "BuildsSimulator", builds_clock: "VirtualClock", monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Connect every `BuildsClient()` of this process to `builds_simulator`, on `builds_clock`.

    Until the test ends, the environment names the simulated account, requests go to the simulator without a
    socket, whatever the client's `base_url` and `session`, and `builds_clock` is the default clock. The
    program under test needs no change. A `clock`, a `transport` or credentials that it passes stay as they
    are. The value is the variables that were set, for assertions; other processes can't reach the simulator
    by them.
    """
    from builds_async import client  # noqa: PLC0415  # see above

    environ = {
        "CLOUDFLARE_ACCOUNT_ID": builds_simulator.account_id,
        "CLOUDFLARE_API_TOKEN": builds_simulator.api_token,
        "CLOUDFLARE_BASE_URL": _BASE_URL,
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    # The program may have imported the class already. So the class stays, and only the factory of its
    # transport and the default of its clock are replaced.
    monkeypatch.setattr(client, "_over_aiohttp", lambda *_: builds_simulator.transport)
    defaults: Any = client.BuildsClient.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "clock", builds_clock)
    return environ
