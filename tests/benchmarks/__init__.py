"""Benchmarks: see `run.py`."""
