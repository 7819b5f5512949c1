"""Objects as lines of JSON."""

import msgspec

from builds_async.cli.out import Screen
from builds_async.cli.safe import json_escaped


def write_record(screen: Screen, record: object) -> None:
    """Write one object on a line; the field names are the API's own."""
    text = msgspec.json.encode(record).decode()
    screen.write(f"{json_escaped(text) if screen.is_tty else text}\n")
