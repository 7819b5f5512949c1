"""Report on all Workers: the live versions, the latest build, its duration, and why it failed.

python examples/nightly_report.py REPORT.md
"""

import asyncio
import sys
from pathlib import Path

from builds_async import Build, BuildOutcome, BuildsClient, BuildsError, BulkResult, LiveWorker

COLUMNS = ("Worker", "Live", "Latest build", "Branch", "Seconds", "Reason")


async def find_reason(client: BuildsClient, build: Build) -> str | None:
    if build.build_outcome != BuildOutcome.FAIL:  # no request for the others
        return None
    try:
        return (await client.summarize(build)).reason
    except BuildsError as error:
        return f"the log can't be read: {error}"


def served(live: BulkResult[LiveWorker], name: str) -> str:
    if name not in live.found:
        return str(live.failed.get(name, "never deployed"))
    made_by = [(it.percentage, it.build or it.reason) for it in live.found[name].versions]
    return ", ".join(f"{share}% {by.commit_hash if isinstance(by, Build) else by}" for share, by in made_by)


async def collect() -> list[tuple[object, ...]]:
    async with BuildsClient(patience=60) as client:  # CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID
        names = await client.workers.names()
        latest, live = await client.builds.latest(names), await client.live(names.values())
        rows: list[tuple[object, ...]] = []
        for tag, name in names.items():
            about: tuple[object, ...] = (latest.failed.get(tag, "never built"), None, None, None)
            if it := latest.found.get(tag):
                about = (it.build_outcome or it.status, it.branch, it.duration, await find_reason(client, it))
            rows.append((name, served(live, name), *about))
        return rows


def markdown(value: object) -> str:  # as code: a stranger's text can't be a link, a picture or a column
    text = "" if value is None else " ".join(str(value).split()).replace("`", "'").replace("|", "/")
    return f"`{text}`" if text else ""


def main(file: Path) -> None:
    rows = asyncio.run(collect())  # before the file is opened: an error leaves the old report as it is
    lines = [f"| {' | '.join(COLUMNS)} |", "| --- " * len(COLUMNS) + "|"]
    lines += [f"| {' | '.join(map(markdown, row))} |" for row in rows]
    file.write_text("\n".join([*lines, ""]), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
