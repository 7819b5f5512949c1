"""Formats lines by the user's template, such as `{build} {outcome}`.

The template is the user's, but the values are text of a build: they are put in as they are, and nothing in
them or in the template is evaluated. A field has no attributes and no items.
"""

from collections.abc import Collection, Mapping
from string import Formatter
from typing import Final, Literal, NamedTuple

from builds_async.cli.exits import CommandError
from builds_async.cli.terminal import Screen
from builds_async.cli.text import visible_text

_ESCAPES: Final = {"n": "\n", "t": "\t", "\\": "\\"}
_MAX_WIDTH: Final = 1000


class _Part(NamedTuple):
    literal: str
    field: str | None
    spec: str


class Template:
    """A template; CommandError if it is invalid or names an unknown field."""

    def __init__(self, text: str, fields: Collection[str]) -> None:
        try:
            parts = [_Part(_unescaped(it[0]), it[1], _checked(it)) for it in Formatter().parse(text)]
        except ValueError as error:
            raise CommandError(f"--template: {error}; write {{{{ for a literal brace") from None
        for part in parts:
            if part.field is not None and part.field not in fields:
                raise CommandError(f"--template: no field {part.field!r}; the fields are {', '.join(fields)}")
        self._parts = parts

    def line(self, facts: Mapping[str, str]) -> str:
        """The line for these facts, in which control characters are visible; without a line break."""
        return "".join(
            part.literal
            + ("" if part.field is None else format(visible_text(facts.get(part.field, "")), part.spec))
            for part in self._parts
        )

    def print(self, screen: Screen, facts: Mapping[str, str]) -> None:
        """Print the line for these facts."""
        screen.write(f"{self.line(facts)}\n")


def make_template(
    output: Literal["text", "json", "raw", "template"], text: str | None, fields: Collection[str]
) -> Template | None:
    """The template, if the output is one: `--template` alone means that. CommandError for other outputs."""
    if text is not None and output in {"text", "template"}:
        return Template(text, fields)
    if text is not None:
        raise CommandError(f"--template goes with --output template, not {output}")
    if output == "template":
        raise CommandError(
            "--output template needs --template, such as --template '{build} {message}';"
            f" the fields are {', '.join(fields)}"
        )
    return None


def _checked(part: tuple[str, str | None, str | None, str | None]) -> str:
    """The format of a field, such as `<20`; ValueError if it is not valid for text."""
    _, field, spec, conversion = part
    if conversion is not None:
        raise ValueError(f"{field!r} has a conversion, !{conversion}, but each field is text")
    spec = spec or ""
    if "{" in spec:
        raise ValueError(f"the format of {field!r} contains a field")
    if any(int(digits) > _MAX_WIDTH for digits in "".join(c if c.isdecimal() else " " for c in spec).split()):
        raise ValueError(f"the format of {field!r} is wider than {_MAX_WIDTH}")
    format("", spec)  # a ValueError now, not with the first record
    return spec


def _unescaped(text: str) -> str:
    r"""The text with `\n`, `\t` and `\\` as the characters that they mean."""
    pieces, escaped = list[str](), False
    for character in text:
        if escaped:
            pieces.append(_ESCAPES.get(character, f"\\{character}"))
        elif character != "\\":
            pieces.append(character)
        escaped = character == "\\" and not escaped
    return "".join(pieces) + ("\\" if escaped else "")
