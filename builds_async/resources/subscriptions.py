"""Event subscriptions, which put build events into a queue."""

from collections.abc import Iterable
from functools import partial
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from builds_async.models.base import texts
from builds_async.models.envelope import Envelope, Page
from builds_async.models.subscriptions import EventDestination, EventSource, Subscription
from builds_async.resources.paging import Pages, check_page, get_page
from builds_async.session.decode import receipts
from builds_async.session.encode import body, query
from builds_async.session.ids import identifier
from builds_async.session.session import ApiSession

_SUBSCRIPTION = msgspec.json.Decoder(Envelope[Subscription])
_SUBSCRIPTIONS = msgspec.json.Decoder(Envelope[tuple[Subscription, ...]])
_CHANGED = receipts(Subscription)
_ROOT = "/event_subscriptions/subscriptions"


class Subscriptions:
    """The event subscriptions of an account. They put build events into a queue for `client.events`.

    https://developers.cloudflare.com/api/resources/queues/subresources/subscriptions/

    Listing needs the permission "Queues Read", everything else "Queues Write" ("Queues Edit" in the
    dashboard).

    Every method raises a `BuildsError` if the call fails, and a ValueError, before anything is sent, for an
    argument that the API can't accept. A call that changes something is repeated only if it can't have taken
    effect.
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session

    async def list(
        self,
        *,
        page: int = 1,
        per_page: int = 20,
        order: Literal["created_at", "name", "enabled", "source"] = "name",
        direction: Literal["asc", "desc"] = "asc",
    ) -> Page[Subscription]:
        """One page of the subscriptions, sorted by `order` in this `direction`.

        `page` counts from 1 (1), `per_page` is 1 to 100 (20).

        Needs "Queues Read".
        https://developers.cloudflare.com/api/resources/queues/subresources/subscriptions/methods/list/
        """
        check_page(page, per_page, 100)
        parameters = query(page=page, per_page=per_page, order=order, direction=direction)
        return await get_page(self._session, _ROOT, _SUBSCRIPTIONS, parameters)

    def iter(self, *, per_page: int = 20) -> Pages[Subscription]:
        """All subscriptions, each once. Pages are fetched as the loop reaches them.

        Needs "Queues Read".
        https://developers.cloudflare.com/api/resources/queues/subresources/subscriptions/methods/list/
        """
        return Pages(
            partial(self.list, per_page=per_page), key=lambda subscription: subscription.id, per_page=per_page
        )

    async def create(
        self,
        *,
        name: str,
        source: EventSource,
        destination: EventDestination,
        events: Iterable[str],
        enabled: bool = True,
    ) -> Subscription:
        """Subscribe a queue to the events of a source.

        For builds: `source=EventSource(worker_name="shop")`, `destination=EventDestination(queue_id=...)` and
        at least one of the `events` `build.started`, `build.succeeded`, `build.failed`, `build.canceled`.

        ValueError without events. NotFoundError if there is no such queue or Worker. APIError with status 405
        if the source already has a subscription: find it with `iter` and `update` it.

        Needs "Queues Write".
        https://developers.cloudflare.com/api/resources/queues/subresources/subscriptions/methods/create/
        """
        data = body(
            name=name, source=source, destination=destination, events=_events(events), enabled=enabled
        )
        return await self._session.post(_ROOT, _SUBSCRIPTION, data)

    async def get(self, subscription_id: str) -> Subscription:
        """One subscription. NotFoundError if there is none. The API requires write permission for it.

        Needs "Queues Write".
        https://developers.cloudflare.com/api/resources/queues/subresources/subscriptions/methods/get/
        """
        return await self._session.get(_path(subscription_id), _SUBSCRIPTION)

    async def update(
        self,
        subscription_id: str,
        *,
        name: str | UnsetType = UNSET,
        destination: EventDestination | UnsetType = UNSET,
        events: Iterable[str] | UnsetType = UNSET,
        enabled: bool | UnsetType = UNSET,
    ) -> Subscription:
        """Change a subscription; fields left UNSET keep their values. The source can't be changed.

        ValueError for empty `events`. If the API returns no subscription, the result has only the id.

        Needs "Queues Write".
        https://developers.cloudflare.com/api/resources/queues/subresources/subscriptions/methods/update/
        """
        data = body(name=name, destination=destination, events=_events(events), enabled=enabled)
        subscription = await self._session.patch(_path(subscription_id), _CHANGED, data)
        return subscription or Subscription(id=subscription_id)

    async def delete(self, subscription_id: str) -> Subscription | None:
        """Delete a subscription, so that the queue gets no more events of its source.

        Returns the deleted subscription, or None if the API does not return it.

        Needs "Queues Write".
        https://developers.cloudflare.com/api/resources/queues/subresources/subscriptions/methods/delete/
        """
        subscription = await self._session.delete(_path(subscription_id), _CHANGED)
        return subscription or None


def _path(subscription_id: str) -> str:
    return f"{_ROOT}/{identifier(subscription_id)}"


def _events(events: Iterable[str] | UnsetType) -> tuple[str, ...] | UnsetType:
    words = texts(events)  # UNSET stays UNSET, which is not empty
    if words == ():
        raise ValueError("a subscription needs at least one event")
    return words
