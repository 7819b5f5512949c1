"""Every public name has a docstring that an editor shows, including fields, enum members and attributes."""

import ast
import importlib
import inspect
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import get_type_hints

from builds_async import BuildsClient

DOORS = {
    "builds_async": "builds_async._public",
    "builds_async.fleet": "builds_async.fleet._public",
    "builds_async.simulator": "builds_async.simulator",
}
"""The modules that users import from, each with the module that has its imports."""


def public_names() -> Iterator[str]:
    """`module:name` of each export of the package and its simulator, where it is defined."""
    for door, imports in DOORS.items():
        for node in _tree(imports).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                names = (alias.name for alias in node.names if alias.name in _exported(door))
                yield from (f"{node.module}:{name}" for name in names)


def resources() -> Iterator[str]:
    """`module:name` of the classes behind the client's attributes, such as `client.builds`."""
    for kind in get_type_hints(BuildsClient).values():
        if kind.__module__.startswith("builds_async.resources."):
            yield f"{kind.__module__}:{kind.__name__}"


def _exported(door: str) -> set[str]:
    return {name for name in importlib.import_module(door).__all__ if not name.startswith("__")}


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def _is_docstring(node: ast.stmt | None) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and bool(node.value.value.strip())
    )


def _targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign) else []


def _members(body: list[ast.stmt]) -> Iterator[tuple[str, bool]]:
    """Public names that a body defines, and whether each has a docstring there."""
    for node, following in pairwise([*body, ast.Pass()]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, ast.get_docstring(node) is not None
        for target in _targets(node):
            if isinstance(target, ast.Name):
                yield target.id, _is_docstring(following)


def _attributes(node: ast.ClassDef) -> Iterator[tuple[str, bool]]:
    """Assignments to `self` in the methods of a class, and whether each has a docstring."""
    for method in node.body:
        if isinstance(method, ast.FunctionDef):
            for part, following in pairwise([*method.body, ast.Pass()]):
                for target in _targets(part):
                    if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                        yield target.attr, _is_docstring(following)


def _gaps(classes: Iterable[ast.ClassDef], documented: Iterable[str] = ()) -> set[str]:
    """The public members of a class, given with its bases, without a docstring in any of them."""
    found = [
        member
        for node in classes
        for member in [
            (node.name, ast.get_docstring(node) is not None),
            *_members(node.body),
            *_attributes(node),
        ]
    ]
    fine = {*documented, *(name for name, has_docstring in found if has_docstring)}
    return {name for name, _ in found if name not in fine and not name.startswith("_")}


def _class(kind: type) -> ast.ClassDef:
    [found] = [
        node
        for node in _tree(kind.__module__).body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    ]
    return found


def _undocumented(module: str, name: str) -> set[str]:
    value = getattr(importlib.import_module(module), name)
    if not isinstance(value, type):
        return {name} - {it for it, has_docstring in _members(_tree(module).body) if has_docstring}
    ours = [kind for kind in value.__mro__ if kind.__module__.split(".")[0] == "builds_async"]
    others = [kind for kind in value.__mro__ if kind not in ours]  # such as the `args` of an exception
    return _gaps(map(_class, ours), documented={member for kind in others for member in vars(kind)})


def test_docstrings() -> None:
    """Every class, field, enum member, property, method and attribute has a docstring."""
    gaps = {where: _undocumented(*where.split(":")) for where in [*public_names(), *resources()]}
    assert {where: missing for where, missing in gaps.items() if missing} == {}


def test_all_names_are_checked() -> None:
    """Every exported name and every resource of the client is checked."""
    names = {where.partition(":")[2] for where in public_names()}
    assert names == set[str]().union(*map(_exported, DOORS))
    assert {"Builds", "Workers", "Queues"} <= {where.partition(":")[2] for where in resources()}


GAPS = '''
class Bare:
    field: int
    fine: int
    """Documented."""
    MEMBER = "word"
    _private: int

    def __init__(self) -> None:
        """Documented."""
        self.attribute = 1
        self.other: int = 2
        """Documented."""

    @property
    def shown(self) -> int:
        return 1

    def method(self) -> None: ...
'''


def test_gaps_are_found() -> None:
    """The check finds each kind of gap, and ignores private names and those documented in a base."""
    [bare] = ast.parse(GAPS).body
    assert isinstance(bare, ast.ClassDef)
    assert _gaps([bare]) == {"Bare", "field", "MEMBER", "attribute", "shown", "method"}
    assert _gaps([bare], documented=["Bare", "field", "shown", "method"]) == {"MEMBER", "attribute"}
