"""The addresses of builds' pages in Cloudflare's dashboard."""

from contextlib import suppress

from builds_async import BuildsClient
from builds_async.resources.dashboard import build_page
from builds_async.session.ids import is_tag


def page_of(client: BuildsClient, build_uuid: str, worker: str | None) -> str | None:
    """The address of a build's page, without a request; None if the name of its Worker is not known.

    `worker` may be a word of the command line, and so a tag, which is not a name.
    """
    if worker is not None and not is_tag(worker):
        with suppress(ValueError):  # a name or an id that can't be in a path
            return build_page(client.account_id, worker, build_uuid)
    return None
