"""Requests that the published schema allows, and requests that it forbids."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from tests.support.schema import PublishedOperation, Schema, validator

Ids = Mapping[str, Any]


def flat(schema: Schema, branch: int = 0) -> Schema:
    """The schema with `allOf` and one branch of `anyOf` or `oneOf` merged in."""
    parts = [
        *schema.get("allOf", ()),
        *schema.get("anyOf", ())[branch:][:1],
        *schema.get("oneOf", ())[branch:][:1],
    ]
    merged = {key: value for key, value in schema.items() if key not in {"allOf", "anyOf", "oneOf"}}
    for part in (flat(part) for part in parts):
        properties = {**part.get("properties", {}), **merged.get("properties", {})}
        required = [*merged.get("required", ()), *part.get("required", ())]
        merged = {**part, **merged, "properties": properties, "required": required}
    return merged


def kinds(schema: Schema) -> list[str]:
    """The types of a flat schema."""
    kind = schema.get("type", "object" if schema.get("properties") else "string")
    return list(kind) if isinstance(kind, list) else [kind]


def sample(schema: Schema, ids: Ids, *, full: bool) -> Any:
    """A value that the schema allows, either complete or minimal."""
    schema = flat(schema)
    if "enum" in schema:
        return schema["enum"][0]
    match kinds(schema)[0]:
        case "object":
            return _sample_object(schema, ids, full=full)
        case "array":
            return [sample(schema["items"], ids, full=full)] if full or schema.get("minItems") else []
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("minimum", 1)
    return "text"


def _sample_object(schema: Schema, ids: Ids, *, full: bool) -> Any:
    properties = schema.get("properties", {})
    names = (
        list(properties)
        if full
        else schema.get("required") or list(properties)[: schema.get("minProperties", 0)]
    )
    value = {name: ids[name] if name in ids else sample(properties[name], ids, full=full) for name in names}
    if full and "additionalProperties" in schema:
        value["NODE_ENV"] = sample(schema["additionalProperties"], ids, full=True)
    return value


def values(schema: Schema, ids: Ids, name: str = "") -> st.SearchStrategy[Any]:
    """Values that the schema mostly allows, with mostly real ids."""
    branches = max(len(schema.get("anyOf", ())), len(schema.get("oneOf", ())), 1)
    made = st.one_of([_values(flat(schema, branch), ids) for branch in range(branches)])
    return st.one_of(st.just(ids[name]), st.just(ids[name]), made) if name in ids else made


def _values(schema: Schema, ids: Ids) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return st.one_of([_values_of(kind, schema, ids) for kind in kinds(schema)])


def _values_of(kind: str, schema: Schema, ids: Ids) -> st.SearchStrategy[Any]:
    made: st.SearchStrategy[Any]
    match kind:
        case "object":
            made = _objects(schema, ids)
        case "array":
            most = schema.get("maxItems", 3)
            made = st.lists(values(schema["items"], ids), min_size=schema.get("minItems", 0), max_size=most)
        case "boolean":
            made = st.booleans()
        case "null":
            made = st.none()
        case "integer" | "number":
            made = st.integers(schema.get("minimum", -1), schema.get("maximum", 100_000))
        case _:
            made = _texts(schema)
    return made


def _texts(schema: Schema) -> st.SearchStrategy[Any]:
    if schema.get("format") == "uuid":
        return st.uuids().map(str)
    shortest = schema.get("minLength", 0)
    return st.text(min_size=shortest, max_size=max(shortest, min(schema.get("maxLength", 20), 60)))


def _objects(schema: Schema, ids: Ids) -> st.SearchStrategy[Any]:
    properties = schema.get("properties", {})
    certain = {name for name, it in properties.items() if len(it.get("enum", ())) == 1}
    required = certain | set(schema.get("required", ()))
    made = {name: values(it, ids, name) for name, it in properties.items()}
    fixed = st.fixed_dictionaries(
        {name: it for name, it in made.items() if name in required},
        optional={name: it for name, it in made.items() if name not in required},
    )
    if "additionalProperties" not in schema:
        return fixed
    names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
    return st.dictionaries(names, values(schema["additionalProperties"], ids), max_size=3)


OTHERS = {
    "string": (5, None, ["text"]),
    "boolean": ("true", 1, None),
    "integer": ("x", 1.5, None),
    "number": ("x", None, True),
    "array": ("text", {"a": 1}, None),
    "object": ("text", [], 5),
    "null": (),
}


def broken(schema: Schema, value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Values that differ from an allowed one in a single place, labeled with the fault."""
    schema = flat(schema)
    names = kinds(schema)
    for other in OTHERS[names[0]]:
        if not (other is None and "null" in names):
            yield f"{path or 'body'} is {other!r}", other
    if "enum" in schema:
        yield f"{path} is another word", "nonsense"
    if schema.get("format") == "uuid":
        yield f"{path} is no UUID", "not-a-uuid"
    if "maxLength" in schema:
        yield f"{path} is too long", "x" * (schema["maxLength"] + 1)
    if schema.get("minLength"):
        yield f"{path} is empty", ""
    if names[0] == "array":
        yield from _broken_array(schema, value, path)
    if names[0] == "object":
        yield from _broken_object(schema, value, path)


def _broken_array(schema: Schema, value: list[Any], path: str) -> Iterator[tuple[str, Any]]:
    if schema.get("minItems"):
        yield f"{path} is empty", []
    if "maxItems" in schema:
        yield f"{path} is too long", (value or [{}]) * (schema["maxItems"] + 1)
    item = value[0] if value else sample(schema["items"], {}, full=True)
    for label, other in broken(schema["items"], item, f"{path}[]"):
        yield label, [other]


def _broken_object(schema: Schema, value: Schema, path: str) -> Iterator[tuple[str, Any]]:
    if schema.get("minProperties"):
        yield f"{path or 'body'} is {{}}", {}
    for name in schema.get("required", ()):
        yield f"{path}.{name} is missing", {key: it for key, it in value.items() if key != name}
    properties = schema.get("properties", {})
    for name, item in value.items():
        known = properties.get(name, schema.get("additionalProperties"))
        for label, other in broken(known, item, f"{path}.{name}") if known else ():
            yield label, deepcopy(value) | {name: other}


def forbidden(operation: PublishedOperation, ids: Ids) -> dict[str, Any]:
    """Bodies that the schema of an operation forbids, by their fault."""
    if operation.body is None:
        return {}
    check = validator(operation.body)
    whole = dict(broken(operation.body, sample(operation.body, ids, full=True)))
    least: Schema = {"least body": {}} if "anyOf" in operation.body else {}
    return {label: value for label, value in (whole | least).items() if not check.is_valid(value)}


def bad_queries(operation: PublishedOperation) -> Iterator[dict[str, str]]:
    """Queries that the schema of an operation forbids."""
    for parameter in operation.named("query"):
        name, schema = parameter["name"], parameter["schema"]
        if parameter.get("required"):
            yield {name: ""}
        if "enum" in schema:
            yield {name: "nonsense"}
        if schema["type"] == "integer":
            yield from ({name: text} for text in ("x", "", "1.5", str(schema["minimum"] - 1)))
        if "maximum" in schema:
            yield {name: str(schema["maximum"] + 1)}
