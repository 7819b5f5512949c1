"""The simulator behind a session, without a socket."""

from multidict import CIMultiDict

from builds_async import simulator
from builds_async.session.transport import Request, Response
from builds_async.simulator import BuildsSimulator


def ask(sim: BuildsSimulator, request: Request) -> simulator.Answer:
    """The response of the simulator to a request of a session that has its token."""
    credentials = {} if request.anonymous else {"authorization": f"Bearer {sim.api_token}"}
    return sim.answer(
        simulator.Request(
            method=request.method,
            target=f"/client/v4{request.path}?{request.query}",
            headers=credentials,
            body=request.body or b"",
        )
    )


def received(answer: simulator.Answer) -> Response:
    """A response of the simulator as it comes to the session."""
    return Response(answer.status, CIMultiDict(answer.headers), answer.body)
