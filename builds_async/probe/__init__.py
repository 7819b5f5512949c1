"""Asks a real account the open questions about the API, with a few requests that only read."""
