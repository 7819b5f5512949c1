"""Verbs that last longer than one call. They see the API through the Protocols in `sources`; no HTTP here."""
