"""Run the benchmarks: `python tests/benchmarks/run.py [--quick] [subject ...]`.

Measures the tree that contains this file. Only the dependencies have to be installed.
"""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    # Replaces this directory, which must not be an import root.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    importlib.import_module("tests.benchmarks.report").main()
