"""The builds of one Worker that began since its mark, found page by page in the Worker's list of builds."""

import msgspec

from builds_async.live import marks
from builds_async.live.history import History
from builds_async.live.sources import HistorySource
from builds_async.models.builds import Build, in_order
from builds_async.models.changes import WorkerMark

CATCH_UP = 200
"""How many builds of one Worker are searched for missed ones."""

PAGE = 50
"""How many builds one page of the list has."""


class Missed(msgspec.Struct, frozen=True):
    """The result of a search for missed builds."""

    builds: tuple[Build, ...]
    """The marked build, then the newer ones, oldest first, then older open ones in their present state."""

    older: tuple[Build, ...]
    """The builds on the same pages that are older than the marked one, oldest first."""

    unreadable: int
    """How many builds could not be read and are left out."""


async def find_missed(
    source: HistorySource, history: History, mark: WorkerMark | None, latest: Build
) -> Missed:
    """List the builds that came after the marked one, up to `CATCH_UP` of them."""
    found: list[Build] = []
    unreadable = 0
    for page in range(1, CATCH_UP // PAGE + 1):
        response = await source.list(history.tag, page=page, per_page=PAGE)
        builds = response.result
        unreadable += response.skipped
        if (place := marks.place_of(builds, mark)) is not None:
            found += builds[:place]
            behind = builds[place + 1 :]
            if mark is not None and mark.older_may_run and place > PAGE // 2:  # they may be on the next page
                behind += (await source.list(history.tag, page=page + 1, per_page=PAGE)).result
            newer = marks.newer_than_listed(found, mark, latest, behind=behind)
            still_open = (build for build in behind if build.build_uuid in history.open)
            return Missed((builds[place], *in_order(newer), *still_open), in_order(behind), unreadable)
        found += builds
        # A build older than the mark means that the marked build was deleted: no later page has it. If even
        # `latest` is older than the mark, the dates are wrong and can't end the search.
        is_past = bool(builds) and marks.is_older(builds[-1], mark) and not marks.is_older(latest, mark)
        if is_past or len(builds) + response.skipped < PAGE:
            break
    newer = marks.newer_than_gone(found, mark, history.builds)
    listed = {build.build_uuid for build in newer}
    older = (build for build in found if build.build_uuid not in listed)
    return Missed(in_order(newer), in_order(older), unreadable)
