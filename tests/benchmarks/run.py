"""Run the benchmarks: `python tests/benchmarks/run.py [--quick] [subject ...]`.

Measures the tree that this file stands in; nothing has to be installed but the dependencies.
"""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    # In place of this directory, which is no place to import from.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    importlib.import_module("tests.benchmarks.report").main()
