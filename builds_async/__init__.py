"""Cloudflare Workers Builds for asyncio: await a build, follow its log live, look up many Workers at once."""

import importlib
import typing

if typing.TYPE_CHECKING:
    from builds_async._public import *  # noqa: F403  # bounded by its `__all__`
    from builds_async._public import __all__ as __all__
else:

    def __getattr__(name: str) -> object:
        """Import all public names when the first one is used.

        Importing aiohttp and the rest takes a while. Until then the command can already handle Ctrl-C, and
        its help does not need them at all.
        """
        public = importlib.import_module("builds_async._public")
        globals().update({it: getattr(public, it) for it in ("__all__", *public.__all__)})
        try:
            return globals()[name]
        except KeyError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None

    def __dir__() -> list[str]:
        return sorted({*__getattr__("__all__"), *globals()})
