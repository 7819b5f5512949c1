"""Plain-text tables."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.measure import Ratio

RATIO_HEAD = ("", "CPU per call", "ratio", "middle half", "target", "gate", "verdict")
VALUE_HEAD = ("", "measured", "target", "verdict")
_TEXT = {"", "lines", "verdict"}  # all other columns are numbers


@dataclass(frozen=True, slots=True)
class Target:
    """An upper bound: the target to aim for, and the gate that must not be exceeded."""

    target: float
    gate: float | None = None
    unit: str = "x"

    def cells(self, value: float) -> tuple[str, str, str]:
        """Target, gate, and whether `value` meets them."""
        if value <= self.target:
            verdict = "met"
        elif self.gate is None:
            verdict = "not met"
        else:
            verdict = "not met, within the gate" if value <= self.gate else "not met, over the gate"
        return self._bound(self.target), self._bound(self.gate), verdict

    def _bound(self, most: float | None) -> str:
        if most is None:
            return ""
        return f"<= {most:.2f}x" if self.unit == "x" else f"<= {most:g}{self.unit}"


def ratio_row(result: Ratio, target: Target | None = None, *, unit: str = "us") -> tuple[str, ...]:
    """One candidate against its baseline; without ratios, the baseline itself."""
    cost = f"{result.cost * {'us': 1e6, 'ms': 1e3}[unit]:,.1f} {unit}"
    if not result.ratios:
        return (result.name, cost, "1", "", "", "", "")
    low, high = result.quartiles
    cells = target.cells(result.middle) if target else ("", "", "")
    return (result.name, cost, f"{result.middle:.3f}x", f"{low:.3f} to {high:.3f}", *cells)


def value_row(name: str, value: float, target: Target) -> tuple[str, ...]:
    """One number with its target."""
    aim, _, verdict = target.cells(value)
    return (name, f"{value:,.1f}{target.unit}", aim, verdict)


def broken(name: str, value: float, target: Target) -> list[str]:
    """What to say if a number is beyond its target."""
    return [] if value <= target.target else [f"{name}: {value:,.1f}{target.unit} of {target.target:g}"]


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> None:
    """Print a table with names on the left, numbers on the right, and empty columns omitted."""
    used = [column for column in range(len(head)) if any(row[column] for row in rows)]
    widths = {column: max(len(row[column]) for row in (head, *rows)) for column in used}

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cells[column].ljust(width) if head[column] in _TEXT else cells[column].rjust(width)
            for column, width in widths.items()
        ).rstrip()

    rule = ["-" * widths.get(column, 0) for column in range(len(head))]
    text = [title, "", *map(line, (head, rule, *rows)), *([note] if note else []), "", ""]
    sys.stdout.write("\n".join(text))
    sys.stdout.flush()
