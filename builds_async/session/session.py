"""The session: sends each call through the gate, and repeats it as the retry policy allows."""

import asyncio
import copy
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from math import inf
from typing import Self, TypeVar

import msgspec
from multidict import CIMultiDict

from builds_async.errors import BuildsError, CallFacts, RateLimitError, with_call
from builds_async.models.envelope import Envelope, MendedEnvelope
from builds_async.models.lenient import Loss
from builds_async.session.admission import Admission
from builds_async.session.budget import Budget
from builds_async.session.call import Call
from builds_async.session.clock import Clock
from builds_async.session.credentials import PastedCredentialError
from builds_async.session.decode import described
from builds_async.session.headers import AllowanceReader, ray_id
from builds_async.session.observe import Observer, Reporting, RequestDone, RetryPlanned, Waited
from builds_async.session.redact import Secret, unmistakable
from builds_async.session.reply import Reply, read
from builds_async.session.retry import RetryPolicy
from builds_async.session.transport import Request, Response, Transport

T = TypeVar("T")
R = TypeVar("R")

logger: logging.Logger = logging.getLogger("builds_async")

_REMEMBERED = 1000  # texts about lost values that were logged as a warning


class ApiSession:
    """Makes the calls of one client: waits for the gate, sends a request, reads the response, and retries.

    Unless a call has to wait for the budget, for a place in flight or before a retry, it awaits nothing but
    the transport.
    """

    def __init__(
        self,
        transport: Transport,
        account_path: str,
        *,
        retry: RetryPolicy,
        budget: Budget,
        max_in_flight: int,
        clock: Clock,
        credentials: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        observer: Observer | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._account_path = account_path
        self._retry = retry
        self._budget = budget
        self._gate = Admission(budget, max_in_flight)
        self._allowances = AllowanceReader()
        self._clock = clock
        # aiohttp's own type for headers, which saves a conversion for each request.
        self._credentials: CIMultiDict[str] = CIMultiDict(credentials or {})
        self._secrets = secrets
        self._unmistakable = unmistakable(secrets)
        self._observer = observer
        self._rng = rng
        self._poll = False
        self._timeout: float | None = None  # of each request; None for the transport's own
        self._losses: dict[str, None] = {}  # warned of already: each poll would repeat them
        budget.bind(clock)
        self._end_reports: Callable[[], None] | None = None
        if observer is not None and isinstance(budget, Reporting):
            self._end_reports = budget.report_to(observer)

    @property
    def max_in_flight(self) -> int:
        """How many requests may be in flight at once."""
        return self._gate.limit

    @property
    def clock(self) -> Clock:
        """The clock of the client."""
        return self._clock

    def full_path(self, path: str) -> str:
        """A path below the account as the path of a request, for errors that a resource raises itself."""
        return self._account_path + path

    def polling(self) -> Self:
        """The same session for polls, which slow down before single calls do."""
        poller = copy.copy(self)
        poller._poll = True  # noqa: SLF001  # a copy of ourselves
        return poller

    def with_options(self, *, timeout: float | None = None, retry: RetryPolicy | None = None) -> Self:
        """The same session with another timeout or retry policy. None keeps the present one."""
        other = copy.copy(self)
        other._timeout = self._timeout if timeout is None else timeout  # noqa: SLF001  # a copy of ourselves
        other._retry = self._retry if retry is None else retry  # noqa: SLF001
        return other

    def at_root(self) -> Self:
        """The same session for the few paths that are not below the account."""
        root = copy.copy(self)
        root._account_path = ""  # noqa: SLF001  # a copy of ourselves
        return root

    def get(
        self,
        path: str,
        decoder: msgspec.json.Decoder[Envelope[T]],
        query: str = "",
        *,
        nullable: bool = False,
        secrets: tuple[Secret, ...] = (),
        confidential: bool = False,
    ) -> Awaitable[T]:
        """The result of a GET. See `Call` for the arguments and `exchange` for the errors."""
        call = Call("GET", path, decoder, query, None, nullable, secrets, confidential=confidential)
        return self._perform(call, _result)

    def post(
        self,
        path: str,
        decoder: msgspec.json.Decoder[Envelope[T]],
        body: bytes | None = None,
        *,
        nullable: bool = False,
        secrets: tuple[Secret, ...] = (),
        confidential: bool = False,
        anonymous: bool = False,
    ) -> Awaitable[T]:
        """The result of a POST, which is repeated only if it can't have taken effect."""
        return self.send(Call("POST", path, decoder, "", body, nullable, secrets, confidential, anonymous))

    def put(
        self,
        path: str,
        decoder: msgspec.json.Decoder[Envelope[T]],
        body: bytes | None = None,
        *,
        secrets: tuple[Secret, ...] = (),
    ) -> Awaitable[T]:
        """The result of a PUT, which is repeated like a GET."""
        return self.send(Call("PUT", path, decoder, "", body, secrets=secrets))

    def patch(
        self,
        path: str,
        decoder: msgspec.json.Decoder[Envelope[T]],
        body: bytes,
        query: str = "",
        *,
        secrets: tuple[Secret, ...] = (),
    ) -> Awaitable[T]:
        """The result of a PATCH, which is repeated only if it can't have taken effect."""
        return self.send(Call("PATCH", path, decoder, query, body, secrets=secrets))

    def delete(
        self,
        path: str,
        decoder: msgspec.json.Decoder[Envelope[T]],
        *,
        secrets: tuple[Secret, ...] = (),
    ) -> Awaitable[T]:
        """The result of a DELETE, which is repeated only if it can't have taken effect."""
        return self.send(Call("DELETE", path, decoder, secrets=secrets))

    def send(self, call: Call[T]) -> Coroutine[object, object, T]:
        """The result of a call. See `exchange` for the errors."""
        return self._perform(call, _result)

    def exchange(
        self, call: Call[T], *, on_sent: Callable[[], object] | None = None
    ) -> Coroutine[object, object, Reply[T]]:
        """The reply to a call, for callers that need more than its result.

        `on_sent` is called each time a request of this call is sent. Raises the error of the last attempt. A
        path or query that contains the client's own credential is a ValueError, and nothing is sent.
        """
        return self._perform(call, Reply, on_sent)

    async def _perform(
        self,
        call: Call[T],
        part: Callable[[Envelope[T], Mapping[str, str]], R],
        on_sent: Callable[[], object] | None = None,
    ) -> R:
        """Send a call as often as needed, and return `part` of its envelope and headers.

        This is the only coroutine between a method and the transport. Another one would cost a call 1% more.
        """
        request, delays, attempts = self._request(call), None, 0
        while True:
            if not self._gate.try_enter(poll=self._poll):
                await self._wait_to_enter(request, attempts)
            attempts += 1
            if on_sent is not None:
                on_sent()
            began = self._clock.now()
            outcome: Response | BuildsError | None = None
            try:
                outcome = await self._transport.send(request)
            except BuildsError as error:
                outcome = with_call(error, **_facts(request, attempts))
            finally:  # also after a cancellation, since the request was sent
                self._leave(request, outcome, began)
            # Outside the `except`, so that no error below gets the transport's error as its context.
            if isinstance(outcome, Response):
                try:
                    return part(self._read(call, request, outcome, attempts), outcome.headers)
                except BuildsError as error:
                    outcome = error
            delays = delays or self._retry.delays(self._rng)
            delay = self._retry.delay(outcome, next(delays))
            # The rate limit of an anonymous request is not the user's, so it does not close the gate.
            if limited := isinstance(outcome, RateLimitError) and not call.anonymous:
                delay = self._budget.close(delay)  # for all calls, whether or not this one is repeated
            if attempts >= self._retry.attempts or not self._retry.repeats(outcome, call.method):
                try:
                    raise outcome
                finally:
                    del outcome  # breaks the cycle of the error, its traceback and this frame
            self._report_retry(outcome, delay)
            if not limited:  # after a 429 the gate holds this call back, like all others
                await self._clock.sleep(delay)

    def _request(self, call: Call[T]) -> Request:
        for secret in self._unmistakable:
            if secret in call.path or secret in call.query:
                raise PastedCredentialError(
                    "the client's own credential was passed in place of an id (it is not shown): pass the id"
                )
        return Request(
            call.method,
            self._account_path + call.path,
            call.query,
            call.body,
            {} if call.anonymous else self._credentials,
            call.secrets,
            call.anonymous,
            self._timeout,
        )

    def _leave(self, request: Request, outcome: Response | BuildsError | None, began: float) -> None:
        self._gate.leave(poll=self._poll)
        # Checked here, so that a report that nobody reads costs nothing.
        if self._observer is not None or logger.isEnabledFor(logging.DEBUG):
            self._report_done(request, outcome, self._clock.now() - began)

    def _read(self, call: Call[T], request: Request, response: Response, attempts: int) -> Envelope[T]:
        """Pass the response's rate limit to the budget, and return the envelope or raise the error."""
        if not call.anonymous and (said := self._allowances.news(response.headers)):
            self._budget.observe(said)
        envelope = read(response, call, request, attempts=attempts, secrets=self._secrets)
        if isinstance(envelope, MendedEnvelope):
            self._report_losses(envelope.losses, request)
        return envelope

    async def _wait_to_enter(self, request: Request, attempts: int) -> None:
        self.check_open()
        began = self._clock.now()
        max_wait = inf if self._poll else self._retry.max_wait
        if not await self._gate.enter(poll=self._poll, max_wait=max_wait):
            await asyncio.sleep(0)  # a caller that retries at once must not block the event loop
            wait = self._budget.blocked_for
            raise RateLimitError(
                f"not sent: the API blocks all requests for another {wait:.0f} s, and max_wait is"
                f" {max_wait:g} s",
                retry_after=wait,
                **_facts(request, attempts),
            )
        if self._observer is not None:
            try:
                self._observer(Waited(seconds=self._clock.now() - began, poll=self._poll))
            except BaseException:
                self._gate.turn_back(poll=self._poll)
                raise

    def _report_done(self, request: Request, outcome: Response | BuildsError | None, seconds: float) -> None:
        """Log a request that has ended, and report it to the observer. Without `outcome` it was canceled."""
        response = outcome if isinstance(outcome, Response) else None
        failure = outcome if isinstance(outcome, BuildsError) else None
        status = None if response is None else response.status
        ray = None if response is None else ray_id(response.headers)
        shown = status or (failure and type(failure).__name__) or "canceled"
        text = "%s %s: %s in %.3f s, ray %s"
        logger.debug(text, request.method, request.shown_path, shown, seconds, ray or "unknown")
        if self._observer is not None:
            self._observer(
                RequestDone(
                    method=request.method,
                    path=request.shown_path,
                    seconds=seconds,
                    status=status,
                    error=failure,
                    ray_id=ray,
                )
            )

    def _report_retry(self, error: BuildsError, delay: float) -> None:
        # The error's text, not the error: a stored record must not keep the caller's frames alive.
        logger.info("%s; trying again in %.1f s", str(error), delay)
        if self._observer is not None:
            self._observer(
                RetryPlanned(
                    method=error.method, path=error.path, attempts=error.attempts, delay=delay, error=error
                )
            )

    def _report_losses(self, losses: Iterable[Loss], request: Request) -> None:
        """Log the values that were left out of a response. The first time it is a warning, later DEBUG."""
        text = (
            f"{request.method} {request.shown_path}: unreadable values of the response are left out:"
            f" {described(losses)}"
        )
        logger.log(logging.DEBUG if text in self._losses else logging.WARNING, "%s", text)
        self._losses[text] = None
        if len(self._losses) > _REMEMBERED:
            del self._losses[next(iter(self._losses))]

    def check_open(self) -> None:
        """Raise RuntimeError if the session was closed, or belongs to another event loop."""
        self._transport.check_open()

    async def aclose(self) -> None:
        """Close the transport: every later call is a RuntimeError."""
        if self._end_reports is not None:
            self._end_reports()
        await self._transport.aclose()


def _facts(request: Request, attempts: int) -> CallFacts:
    return {"method": request.method, "path": request.shown_path, "attempts": attempts}


def _result(envelope: Envelope[T], _headers: Mapping[str, str]) -> T:
    return envelope.result
