"""Objects as lines of JSON."""

import msgspec

from builds_async.cli.out import Screen
from builds_async.models.text import json_escaped


def write_record(screen: Screen, record: object) -> None:
    """Write one object on a line; the field names are the API's own."""
    screen.write(f"{json_line(record)}\n", trusted=True)


def json_line(record: object) -> str:
    """The object as JSON on one line, in which no terminal and no CI job finds anything to obey."""
    return json_escaped(msgspec.json.encode(record).decode())
