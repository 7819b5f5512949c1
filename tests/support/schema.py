"""The schema of the API as data: its operations, with every reference resolved.

One file is an excerpt of the published schema. The other describes, in the same form, operations that the
excerpt lacks, from Cloudflare's documentation and live responses.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from jsonschema import Draft202012Validator, FormatChecker

Schema = dict[str, Any]

DATA = Path(__file__).parents[1] / "data"
EXCERPT, DESCRIBED = DATA / "workers-builds.schema.json", DATA / "workers-deployments.schema.json"

# Without the checker's own formats, because they depend on the installed packages.
FORMATS = FormatChecker(())
FORMATS.checks("uuid", raises=ValueError)(lambda value: not isinstance(value, str) or bool(UUID(value)))
FORMATS.checks("date-time", raises=ValueError)(
    lambda value: not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None
)


class PublishedOperation(NamedTuple):
    """An operation of a schema, without references."""

    id: str
    method: str
    path: str
    parameters: tuple[Schema, ...]
    body: Schema | None
    responses: dict[str, Schema]

    def named(self, where: str) -> list[Schema]:
        """Its path or query parameters."""
        return [parameter for parameter in self.parameters if parameter["in"] == where]

    @property
    def success(self) -> int:
        """The status of a success."""
        return 201 if "201" in self.responses else 200

    @property
    def result(self) -> Schema:
        """The schema of a success's `result`, without `allOf`."""
        result: Schema = merged(self.responses[f"{self.success}"])["properties"]["result"]
        return result

    def schema_of(self, status: int) -> Any:
        """The validator of a response; None for an undocumented status."""
        found = self.responses.get(str(status), self.responses.get(f"{status // 100}XX"))
        return found and validator(found)


def read_schema(path: Path) -> dict[str, PublishedOperation]:
    """Every operation of a file by its id."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return {
        operation["operationId"]: _operation(document, method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def _operation(document: Schema, method: str, path: str, found: Schema) -> PublishedOperation:
    found = _inlined(document, found)
    content = found.get("requestBody", {}).get("content", {})
    return PublishedOperation(
        found["operationId"],
        method.upper(),
        path,
        tuple(found["parameters"]),
        content["application/json"]["schema"] if content else None,
        {status: it["content"]["application/json"]["schema"] for status, it in found["responses"].items()},
    )


def _inlined(document: Schema, node: Any) -> Any:
    if isinstance(node, list):
        return [_inlined(document, item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return _inlined(document, target)
    return {key: _inlined(document, value) for key, value in node.items() if key != "discriminator"}


def merged(node: Any) -> Any:
    """A schema with the parts of each `allOf` merged into it; its own keywords win."""
    if isinstance(node, list):
        return [merged(item) for item in node]
    if not isinstance(node, dict):
        return node
    whole: Schema = {key: merged(value) for key, value in node.items() if key != "allOf"}
    for part in map(merged, node.get("allOf", ())):
        properties = {**whole.get("properties", {}), **part.get("properties", {})}
        whole = {**part, **whole} | ({"properties": properties} if properties else {})
    return whole


_VALIDATORS: dict[int, tuple[Schema, Any]] = {}  # by identity: schemas are not hashable


def validator(schema: Schema) -> Any:
    """The validator of a schema, created once."""
    known = _VALIDATORS.get(id(schema))
    if known is None:
        known = _VALIDATORS[id(schema)] = schema, Draft202012Validator(schema, format_checker=FORMATS)
    return known[1]


def of_builds(schema: Schema) -> Schema:
    """The form of a schema that is for builds, or else the last."""
    forms: list[Schema] = schema.get("oneOf") or schema["anyOf"]
    kinds = {form.get("properties", {}).get("type", {}).get("enum", [""])[0]: form for form in forms}
    return kinds.get("workersBuilds.worker", forms[-1])


PUBLISHED = read_schema(EXCERPT) | read_schema(DESCRIBED)
