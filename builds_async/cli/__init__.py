"""The command `builds-async`: thin over the public API. Needs the extra `cli`."""
