"""The session: one call from method and path to a decoded answer, with pacing and retries."""

import asyncio
import copy
import logging
import random
from collections.abc import Callable, Mapping
from datetime import datetime
from math import inf
from typing import Self, TypeVar

import msgspec

from builds_async.errors import BuildsError, ConfigurationError, RateLimitError
from builds_async.models.envelope import Envelope, MendedEnvelope
from builds_async.session.budget import LONGEST_CLOSURE, RateBudget
from builds_async.session.clock import Clock
from builds_async.session.lenient import described
from builds_async.session.observe import ObservedTransport, Observer, RetryPlanned, Waited
from builds_async.session.places import Places
from builds_async.session.retry import RetryPolicy
from builds_async.session.transport import Request, Transport
from builds_async.session.wire import allowances, date, read, unmistakable

T = TypeVar("T")

logger = logging.getLogger("builds_async")

_REMEMBERED = 1000


class PastedCredentialError(ConfigurationError, ValueError):
    """The client's own credential was passed in place of an id. A ValueError, as for any other odd id."""


class ApiSession:
    """Makes the calls of one client: asks the budget, takes a place in flight, sends, reads, repeats.

    The happy path awaits nothing but the transport, unless the budget is spent or all places are taken.
    """

    def __init__(
        self,
        transport: Transport,
        account_path: str,
        *,
        retry: RetryPolicy,
        budget: RateBudget,
        max_in_flight: int,
        clock: Clock,
        credentials: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        observer: Observer | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport if observer is None else ObservedTransport(transport, observer, clock)
        self._account_path = account_path
        self._retry = retry
        self._budget = budget
        self._places = Places(max_in_flight)
        self._clock = clock
        self._credentials = {} if credentials is None else credentials
        self._secrets = secrets
        self._unmistakable = unmistakable(secrets)
        self._observer = observer
        self._rng = rng
        self._poll = False
        self._headers: Mapping[str, str] = {}  # of the last answer
        self._odd: dict[str, None] = {}  # losses that were logged, so that a poll logs each once
        budget.bind(clock)

    @property
    def max_in_flight(self) -> int:
        """How many requests may be in flight at once."""
        return self._places.limit

    def polling(self) -> Self:
        """The same session for those who poll: they slow down before single calls do."""
        poller = copy.copy(self)
        poller._poll = True  # noqa: SLF001  # a copy of ourselves
        return poller

    def at_root(self) -> Self:
        """The same session for the few paths that are not below the account."""
        root = copy.copy(self)
        root._account_path = ""  # noqa: SLF001  # a copy of ourselves
        return root

    @property
    def clock(self) -> Clock:
        """The time of the client."""
        return self._clock

    @property
    def date(self) -> datetime | None:
        """When the last answer of this session was given, to the second, by the server's own clock."""
        return date(self._headers.get("Date", ""))

    async def envelope(
        self,
        method: str,
        path: str,
        decoder: msgspec.json.Decoder[Envelope[T]],
        query: str = "",
        *,
        body: bytes | None = None,
        nullable: bool = True,
        secrets: tuple[str, ...] = (),
        confidential: bool = False,
        anonymous: bool = False,
    ) -> Envelope[T]:
        """The answer of a call. `path` is below the account; it and `query` are encoded already.

        ResponseDecodeError for a `result` of null, unless the call is `nullable`. `secrets` are what this
        call carries in its path or body, to be kept out of errors, logs and observations; the text of its
        answer is then `confidential` as well. An `anonymous` call goes without the token, and a rate limit
        that it meets holds back no other.
        ValueError, and nothing is sent, for a path or query that has the client's own credential.
        Raises what the last attempt raised, with the call and the number of attempts filled in.
        """
        headers = {} if anonymous else self._credentials
        request = Request(method, self._account_path + path, query, body, secrets, anonymous, headers)
        if self._has_credential(path, query):
            path = query = "***"
            del request
            raise PastedCredentialError(
                "the client's own credential was passed in place of an id (it is not shown): pass the id"
            )
        path = shown = request.shown_path if secrets else request.path
        delays, attempts, sent_at = None, 0, None
        while True:
            sent = False
            try:
                waited = None if self._enter_at_once() else await self._enter()
                attempts, sent = attempts + 1, True
                sent_at = self._clock.now()
                try:
                    if waited is not None and self._observer is not None:
                        self._observer(Waited(seconds=waited, poll=self._poll))
                    answer = await self._transport.send(request)
                finally:
                    self._budget.done(poll=self._poll)
                    self._places.leave(poll=self._poll)
                self._headers = answer.headers
                logger.debug("%s %s: %d", method, shown, answer.status)
                if not anonymous and (said := allowances(answer.headers)):
                    self._budget.observe(said)
                envelope = read(
                    answer,
                    decoder,
                    nullable=nullable,
                    method=method,
                    path=shown,
                    secrets=self._secrets,
                    confidential=confidential or bool(secrets),
                )
                return self._reported(method, shown, envelope)
            except BuildsError as error:
                error.method, error.path, error.attempts, error.sent_at = method, shown, attempts, sent_at
                delays = delays or self._retry.delays(self._rng)
                delay = self._retry.delay(error, next(delays))
                # What is said to nobody is not said of the user's requests.
                if limited := sent and isinstance(error, RateLimitError) and not anonymous:
                    self._budget.close(delay)  # for all calls, whether or not this one is repeated
                    delay = min(delay, LONGEST_CLOSURE)
                if attempts >= self._retry.attempts or not self._retry.repeats(error, method):
                    raise
                # Its text: a record that is kept must not keep the caller's frames alive.
                logger.info("%s; trying again in %.1f s", str(error), delay)
                if self._observer is not None:
                    self._observer(
                        RetryPlanned(method=method, path=shown, attempts=attempts, delay=delay, error=error)
                    )
            if not limited:  # else the gate holds it back, in line with the others
                await self._clock.sleep(delay)

    def _has_credential(self, path: str, query: str) -> bool:
        for secret in self._unmistakable:  # noqa: SIM110  # any() costs twice as much on this hot path
            if secret in path or secret in query:
                return True
        return False

    def _reported(self, method: str, shown: str, envelope: Envelope[T]) -> Envelope[T]:
        """The answer; what was left out of it is logged as a warning, once for each call."""
        if not isinstance(envelope, MendedEnvelope):
            return envelope
        said = f"{method} {shown}: odd values of the answer are left out: {described(envelope.losses)}"
        logger.log(logging.DEBUG if said in self._odd else logging.WARNING, "%s", said)
        self._odd[said] = None
        if len(self._odd) > _REMEMBERED:
            del self._odd[next(iter(self._odd))]
        return envelope

    def _enter_at_once(self) -> bool:
        """Take from the budget, and a place in flight, if nothing has to be waited for."""
        if not self._places.try_take(poll=self._poll):
            return False
        if self._budget.try_acquire(poll=self._poll):
            return True
        self._places.leave(poll=self._poll)
        return False

    async def _enter(self) -> float:
        """Wait for the budget and for a place in flight, and take both. Gives the seconds that it took."""
        self.check_open()
        began = self._clock.now()
        while True:
            if not self._budget.try_acquire(poll=self._poll):
                await self._wait_for_budget()
            closings = self._budget.closings
            try:
                await self._places.take(poll=self._poll)
            except asyncio.CancelledError:
                self._budget.give_back()
                raise
            if self._budget.closings == closings:
                return self._clock.now() - began
            # The gate closed while this call waited for its place: it may not slip through.
            self._places.leave(poll=self._poll)
            self._budget.give_back()

    async def _wait_for_budget(self) -> None:
        max_wait = inf if self._poll else self._retry.max_wait
        if not await self._budget.acquire(poll=self._poll, max_wait=max_wait):
            await asyncio.sleep(0)  # a loop round this error must not keep the event loop to itself
            wait = self._budget.blocked_for
            raise RateLimitError(
                f"not sent: the API said that it lets nothing through for {wait:.0f} s more, and max_wait is"
                f" {max_wait:g} s",
                retry_after=wait,
            )

    def check_open(self) -> None:
        """RuntimeError if the session was closed, or belongs to another event loop than the running one."""
        self._transport.check_open()

    async def aclose(self) -> None:
        """Close the transport: every later call is a RuntimeError."""
        await self._transport.aclose()
