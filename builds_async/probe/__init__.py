"""Finds out how the API behaves where that is undocumented, with a few read requests to a real account."""
