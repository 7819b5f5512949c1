"""`builds-async events`: build events from a queue."""

from datetime import UTC
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from builds_async import BuildEvent
from builds_async.cli.connect import connect
from builds_async.cli.exits import misuse
from builds_async.cli.options import CONNECTION, Connection, Output
from builds_async.cli.out import stdout
from builds_async.cli.records import write_record
from builds_async.cli.safe import plain
from builds_async.cli.times import stamp


async def events_command(
    queue_id: Annotated[str, Parameter(help="The id of a Cloudflare Queue.")],
    /,
    *,
    limit: Annotated[int | None, Parameter(help="End after so many events.", validator=Number(gte=1))] = None,
    output: Output = "text",
    connection: Connection = CONNECTION,
) -> int:
    """Print the build events of a Cloudflare Queue as they come, without end."""
    out = stdout()
    count = 0
    async with connect(connection, patient=True) as client:
        with misuse("events"):
            stream = client.events(queue_id)
        async with stream:
            async for event in stream:
                if output == "json":
                    write_record(out, event)
                else:
                    out.write(f"{_line(event)}\n")
                count += 1
                if count == limit:
                    await stream.ack(event)
                    break
    return 0


def _line(event: BuildEvent) -> str:
    moment = event.event_timestamp or event.stopped_on or event.created_on
    metadata = event.build_trigger_metadata
    words = (
        stamp(moment, UTC) if moment else "",
        event.worker_name,
        event.build_uuid,
        event.build_outcome or event.status or event.type.rpartition(".")[2],
        metadata and metadata.branch,
    )
    return " ".join(plain(str(word)) for word in words if word)
