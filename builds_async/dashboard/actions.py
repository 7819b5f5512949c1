"""Retries and cancels builds for the page: by POST, from the page itself, with the server's CSRF token."""

import hmac
import secrets

from aiohttp import web

from builds_async import (
    AuthenticationError,
    BuildsClient,
    BuildsError,
    NotFoundError,
    PermissionDeniedError,
)

CSRF_HEADER = "X-CSRF-Token"


class Actions:
    """Retries and cancels builds for the page, if `allowed`."""

    def __init__(self, client: BuildsClient, *, allowed: bool) -> None:
        self._client = client
        self._running: set[str] = set()
        self.csrf: str | None = secrets.token_urlsafe() if allowed else None
        """The CSRF token of a request. Only the page has it, and other sites can't read the page."""

    async def handle(self, request: web.Request) -> web.Response:
        """Retry or cancel a build."""
        self._check(request)
        build_uuid = request.match_info["build_uuid"].lower()
        if build_uuid in self._running:
            raise web.HTTPConflict(text="a request to retry or cancel this build is still in progress")
        self._running.add(build_uuid)
        try:
            return web.json_response(await self._act(request.match_info["action"], build_uuid))
        except ValueError:
            raise web.HTTPBadRequest(text="this is not the id of a build") from None
        except NotFoundError as error:
            raise web.HTTPNotFound(text=str(error)) from None
        except PermissionDeniedError:
            raise web.HTTPForbidden(text='the API token lacks "Workers CI Write"') from None
        except AuthenticationError as error:
            raise web.HTTPForbidden(text=str(error)) from None
        except BuildsError as error:
            raise web.HTTPBadGateway(text=str(error)) from None
        finally:
            self._running.discard(build_uuid)

    async def _act(self, action: str, build_uuid: str) -> dict[str, str]:
        if action == "cancel":
            return {"build": (await self._client.builds.cancel(build_uuid)).build_uuid or build_uuid}
        return {"build": (await self._client.builds.retry(build_uuid)).build_uuid}

    def _check(self, request: web.Request) -> None:
        if self.csrf is None:
            raise web.HTTPForbidden(text="this server only reads: start it with --writes to change builds")
        # A request from a page has at least one of these headers. The gate also admits programs, which have
        # neither.
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if site != "same-origin" and origin is None:
            raise web.HTTPForbidden(text="only the page itself may change builds")
        given = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode(errors="replace"), self.csrf.encode()):
            raise web.HTTPForbidden(text="the server was restarted since this page was loaded: reload it")
