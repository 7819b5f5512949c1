"""Cloudflare Workers Builds for asyncio: await a build, follow its log live, look up many Workers at once."""

import importlib
import typing

if typing.TYPE_CHECKING:
    from builds_async._public import *  # noqa: F403  # it has `__all__`
    from builds_async._public import __all__ as __all__
else:

    def __getattr__(name: str) -> object:
        """Import all that is public when the first of it is asked for.

        So the command can be stopped quietly from its first moment on, and show its help without loading
        the library.
        """
        public = importlib.import_module("builds_async._public")
        globals().update({it: getattr(public, it) for it in ("__all__", *public.__all__)})
        try:
            return globals()[name]
        except KeyError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None

    def __dir__() -> list[str]:
        return sorted({*__getattr__("__all__"), *globals()})
