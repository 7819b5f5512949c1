"""`builds-async events`."""

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from builds_async import BuildEvent, BuildsClient
from builds_async.cli.cache import Cache
from builds_async.cli.connect import connect
from builds_async.cli.executing import Commands, Finished
from builds_async.cli.exits import OK, usage_errors
from builds_async.cli.facts import EVENT_FIELDS, build_facts, build_of
from builds_async.cli.links import page_of
from builds_async.cli.options import (
    CONNECTION,
    EXEC_OPTIONS,
    Connection,
    ExecOptions,
    TemplateOutput,
    TemplateText,
)
from builds_async.cli.printer import print_record
from builds_async.cli.template import make_template
from builds_async.cli.terminal import stdout
from builds_async.cli.text import visible_text
from builds_async.cli.times import format_time


async def events_command(
    queue_id: Annotated[str, Parameter(help="The ID of a Cloudflare Queue.")],
    /,
    *,
    limit: Annotated[int | None, Parameter(help="Stop after N events.", validator=Number(gte=1))] = None,
    output: TemplateOutput = "text",
    template: TemplateText = None,
    commands: ExecOptions = EXEC_OPTIONS,
    connection: Connection = CONNECTION,
) -> int:
    """Print the build events of a Cloudflare Queue as they arrive, until Ctrl-C."""
    out, form = stdout(), make_template(output, template, EVENT_FIELDS)
    count = 0
    async with connect(connection) as client:
        cache = Cache.of(client)
        runner = Commands.of(client, commands)
        with usage_errors("events"):
            stream = client.events(queue_id)
        async with stream, runner or nullcontext():
            async for event in stream:
                cache.add_builds([event.build_uuid])
                if output == "json":
                    print_record(out, event)
                elif form is not None:
                    form.print(out, _facts(client, event))
                else:
                    out.write(f"{_line(event)}\n")
                if runner is not None and event.build_outcome is not None:
                    # Until it has ended, the event is not acknowledged, and its lease is extended.
                    runner.add(Finished(build_of(event), event.worker_name))
                    await runner.drain()
                count += 1
                if count == limit:
                    await stream.ack(event)  # the stream acknowledges the others when it moves on
                    break
    return OK


def _facts(client: BuildsClient, event: BuildEvent) -> Mapping[str, str]:
    """The fields of a template."""
    page = page_of(client, event.build_uuid, event.worker_name)
    return {
        **build_facts(build_of(event), worker=event.worker_name, page=page),
        "type": str(event.type),
        "time": _time(event),
    }


def _time(event: BuildEvent) -> str:
    """When the event happened; "" if the event has no date."""
    time = event.event_timestamp or event.stopped_on or event.created_on
    return format_time(time, UTC) if time else ""


def _line(event: BuildEvent) -> str:
    metadata = event.build_trigger_metadata
    words = (
        _time(event),
        event.worker_name,
        event.build_uuid,
        event.build_outcome or event.status or event.type.rpartition(".")[2],
        metadata and metadata.branch,
    )
    return " ".join(visible_text(str(word)) for word in words if word)
