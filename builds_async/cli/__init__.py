"""Implements the command `builds-async` on the public API. Needs the extra `cli`."""
