"""The requests of a probe, in an order in which each has what it needs from earlier responses."""

from collections.abc import Awaitable, Callable

from builds_async.models.diagnosis import CredentialKind
from builds_async.probe.asking import Answer, Asker, NotAsked, Refused, Reply
from builds_async.probe.evidence import Evidence, Json, LogPage, as_dict, as_list, has_begun, tag_of
from builds_async.session.custom_call import QueryValue
from builds_async.session.ids import MAX_IDS, is_tag

NO_TAG = "5f1d0c7e9b3a48d2a6e4c8f0b7d19352"
NO_UUID = "5f1d0c7e-9b3a-48d2-a6e4-c8f0b7d19352"
NO_NAME = "no-worker-has-this-name"
"""Ids and a name that no account has. They were generated at random once."""

_PAGES = 5  # the most of a finished log
_HOLLOW = 3  # after this many pages in a row without lines, the log is not read on
_PAUSE = 5.0  # seconds in which a running build may write lines


class Gatherer:
    """Fills the evidence, request by request."""

    def __init__(
        self,
        asker: Asker,
        seen: Evidence,
        build_uuid: str | None,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._asker, self._seen = asker, seen
        self._given = build_uuid
        self._sleep = sleep

    async def gather(self) -> None:
        """Send all requests that are possible for this account."""
        await self._account()
        await self._unknown_ids()
        await self._workers()
        tag = self._tag_to_examine()
        if tag is None:
            none = NotAsked("no build of the account was found")
            names = ("list", "triggers", "previews", "preview_builds", "last_page", "old_log")
            self._seen.missing.update(dict.fromkeys((*names, "log", "queued_log", "running"), none))
            return
        await self._worker_lists(tag)
        await self._logs()

    async def _ask(self, name: str, path: str, **query: QueryValue) -> Reply:
        reply = await self._asker.ask(path, **query)
        self._seen.replies[name] = reply
        return reply

    async def _account(self) -> None:
        limits = await self._ask("limits", "/builds/account/limits")
        scripts = await self._ask("scripts", "/workers/scripts")
        await self._ask("search", "/workers/scripts-search", per_page=100)
        is_refused = isinstance(limits, Refused) and limits.status == 401
        is_owned = is_refused and isinstance(scripts, Answer) and self._seen.kind == CredentialKind.UNKNOWN
        if self._seen.kind == CredentialKind.ACCOUNT_TOKEN or is_owned:
            await self._ask("subscriptions", "/event_subscriptions/subscriptions", per_page=1)
        else:
            self._seen.missing["subscriptions"] = NotAsked("the token is not owned by the account")

    async def _unknown_ids(self) -> None:
        too_many = ",".join(f"{NO_TAG[:-2]}{number:02x}" for number in range(MAX_IDS + 1))
        await self._ask("unknown_latest", "/builds/builds/latest", external_script_ids=NO_TAG)
        await self._ask("unknown_version", "/builds/builds", version_ids=NO_UUID)
        await self._ask("too_many", "/builds/builds/latest", external_script_ids=too_many)
        await self._ask("unknown_worker", f"/builds/workers/{NO_TAG}/builds", per_page=1)
        await self._ask("wrong_tag", f"/builds/workers/{NO_NAME}/builds", per_page=1)
        await self._ask("unknown_build", f"/builds/builds/{NO_UUID}")
        await self._ask("unknown_log", f"/builds/builds/{NO_UUID}/logs")
        await self._ask("unknown_script", f"/workers/scripts/{NO_NAME}/deployments")

    async def _workers(self) -> None:
        if self._given is not None:
            build = await self._ask("build", f"/builds/builds/{self._given}")
            if isinstance(build, Answer):
                self._seen.add_builds([build.result])
        scripts = [as_dict(it) for it in as_list(self._seen.result("scripts"))]
        scripts.sort(key=lambda it: str(it.get("modified_on")), reverse=True)
        tags = [tag for it in scripts if is_tag(tag := str(it.get("tag")))][:MAX_IDS]
        if tags:
            latest = await self._ask("latest", "/builds/builds/latest", external_script_ids=",".join(tags))
            if isinstance(latest, Answer):
                self._seen.add_builds(as_dict(latest.result).get("builds"))

    def _tag_to_examine(self) -> str | None:
        """The Worker to examine: that of the given build, or of the newest one."""
        builds = sorted(self._seen.builds.values(), key=lambda it: str(it.get("created_on")), reverse=True)
        given = [build for build in builds if build.get("build_uuid") == self._given]
        return next((tag for build in (*given, *builds) if is_tag(tag := tag_of(build) or "")), None)

    async def _worker_lists(self, tag: str) -> None:
        path, seen = f"/builds/workers/{tag}", self._seen
        page = await self._ask("list", f"{path}/builds", page=1, per_page=50)
        if isinstance(page, Answer):
            seen.add_builds(page.result)
        await self._ask("triggers", f"{path}/triggers")
        await self._ask("previews", f"{path}/previews", per_page=50)
        previews = [as_dict(it).get("preview_id") for it in as_list(seen.result("previews"))]
        preview = next((it for it in previews if isinstance(it, str) and is_tag(it)), None)
        if preview is None:
            seen.missing["preview_builds"] = NotAsked("the Worker has no Preview")
        else:
            await self._ask("preview_builds", f"{path}/previews/{preview}/builds", per_page=50)
        if isinstance(page, Answer) and page.total_pages > 1:
            last = await self._ask("last_page", f"{path}/builds", page=page.total_pages, per_page=50)
            if isinstance(last, Answer):
                seen.add_builds(last.result)

    async def _logs(self) -> None:
        finished, builds = self._seen.finished(), list(self._seen.builds.values())
        given = [build for build in builds if build.get("build_uuid") == self._given]
        self._seen.missing["log"] = NotAsked("no finished build was found")
        self._seen.missing["queued_log"] = NotAsked("no build is queued now")
        self._seen.missing["running"] = NotAsked("no build is running now")
        if finished:
            await self._ask("old_log", f"{_path(finished[-1])}/logs")
            await self._finished_log(next((it for it in given if it in finished), finished[0]))
        else:
            self._seen.missing["old_log"] = NotAsked("no finished build was found")
        waiting = [build for build in (*given, *builds) if not build.get("stopped_on")]
        queued = next((build for build in waiting if not has_begun(build)), None)
        if queued is not None:
            await self._ask("queued_log", f"{_path(queued)}/logs")
        running = next((build for build in waiting if has_begun(build)), None)
        if running is not None:
            await self._running_log(running)

    async def _finished_log(self, build: Json) -> None:
        hollow, cursor = 0, None
        for _ in range(_PAGES):
            page = await self._page(build, cursor)
            self._seen.log.append(page)
            hollow = 0 if page.lines else hollow + 1
            if not page.is_truncated or page.cursor is None or hollow >= _HOLLOW:
                break
            cursor = page.cursor
        last = self._seen.log[-1]
        if last.cursor is not None and not last.is_truncated:
            self._seen.behind = await self._page(build, last.cursor)
        if self._seen.log[0].cursor is not None:
            self._seen.again = await self._page(build, None)

    async def _running_log(self, build: Json) -> None:
        first = await self._page(build, None)
        self._seen.running.append(first)
        if first.cursor is not None:
            await self._sleep(_PAUSE)
            self._seen.running.append(await self._page(build, first.cursor))
            self._seen.running.append(await self._page(build, None))

    async def _page(self, build: Json, cursor: str | None) -> LogPage:
        return LogPage(cursor, await self._asker.ask(f"{_path(build)}/logs", cursor=cursor))


def _path(build: Json) -> str:
    return f"/builds/builds/{build['build_uuid']}"
