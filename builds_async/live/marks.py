"""Which builds of a Worker came after its mark, by their dates and by their place in the list. No I/O.

The API lists builds newest first and dates them, but neither is reliable: a date may be missing or absurd,
several builds may have the same date, the list may lag, and the marked build may have been deleted. No new
build must be missed, and no old one should be reported again. If only one of the two is possible, repeating
a build does less harm.
"""

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from builds_async.models.builds import LONG_AGO, Build, created, usable_date
from builds_async.models.changes import WorkerMark


def mark_of(build: Build, *, older_may_run: bool = False) -> WorkerMark:
    """The mark for "all builds up to this one were seen", perhaps except older ones that run."""
    return WorkerMark(build.build_uuid, usable_date(build.created_on), older_may_run)


def usable(mark: WorkerMark | None) -> WorkerMark | None:
    """A stored mark, without its date if that is absurd: the year 9999 would hide every later build."""
    return mark and replace(mark, created_on=usable_date(mark.created_on))


def is_marked(build: Build, mark: WorkerMark | None) -> bool:
    """Whether the build is the marked one."""
    return mark is not None and mark.build_uuid == build.build_uuid


def place_of(newest_first: Sequence[Build], mark: WorkerMark | None) -> int | None:
    """The place of the marked build in a list; None if it is not there."""
    if mark is None:
        return None
    return next((n for n, build in enumerate(newest_first) if build.build_uuid == mark.build_uuid), None)


def listed_before(newest_first: Sequence[Build], mark: WorkerMark | None) -> set[str]:
    """The UUIDs of the builds before the marked one in a list."""
    return {build.build_uuid for build in newest_first[: place_of(newest_first, mark) or 0]}


def is_older(build: Build, mark: WorkerMark | None) -> bool:
    """Whether the build is older than the marked one by its date; False if one of the dates is missing."""
    if mark is None or mark.created_on is None:
        return False
    date = usable_date(build.created_on)
    return date is not None and date < mark.created_on


def is_at_or_after(build: Build, mark: WorkerMark | None, before: Collection[str] = ()) -> bool:
    """Whether the build is the marked one, or newer.

    If one of the dates is missing, a build counts as newer if it is in `before`, the builds before the marked
    one in the list.
    """
    if mark is None or mark.build_uuid == build.build_uuid:
        return True
    date = usable_date(build.created_on)
    if date is None or mark.created_on is None:
        return build.build_uuid in before
    return date > mark.created_on


def may_have_stopped_since(build: Build, mark: WorkerMark) -> bool:
    """Whether a stopped build may have run when the mark was made.

    The mark has no date of its own. It was made after its build was created, so a build that stopped before
    that was over; any other is repeated rather than lost.
    """
    stopped = usable_date(build.stopped_on)
    return stopped is None or mark.created_on is None or stopped >= mark.created_on


def may_be_marked(build: Build, mark: WorkerMark | None) -> bool:
    """Whether the mark may move to this build; to a build without a date only from a mark without one."""
    return mark is None or created(build) >= (mark.created_on or LONG_AGO)


def newer_than_listed(
    before: Sequence[Build], mark: WorkerMark | None, latest: Build, *, behind: Sequence[Build]
) -> list[Build]:
    """The builds that are newer than the marked one, which is listed between `before` and `behind`.

    Dates decide, unless the latest build is listed before the marked one and its date is older: then one of
    the two dates is wrong, and the place decides. A latest build that has no date and is not listed counts as
    new: the list lags.
    """
    listed = {build.build_uuid for build in (*before, *behind)}
    late = [latest] if latest.build_uuid not in listed and usable_date(latest.created_on) is None else []
    in_front = any(build.build_uuid == latest.build_uuid for build in before)
    if in_front and is_older(latest, mark):
        return [*late, *before]
    return [*late, *(build for build in before if not is_older(build, mark))]


def newer_than_gone(
    newest_first: Sequence[Build], mark: WorkerMark | None, known: Mapping[str, Build | None]
) -> list[Build]:
    """The builds that are newer than a marked one that is no longer listed, and all `known` ones.

    A build without a date counts as new if it is listed before all older ones.
    """
    if mark is None:
        return [*newest_first]
    newer, passed = [], False
    for build in newest_first:
        date = usable_date(build.created_on)
        is_newer = not passed if date is None else date > (mark.created_on or LONG_AGO)
        if is_newer or build.build_uuid in known:
            newer.append(build)
        passed = passed or not is_newer
    return newer
