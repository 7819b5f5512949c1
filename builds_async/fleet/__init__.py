"""Many processes of one Cloudflare user act as one, over a Redis or Valkey that they share.

Needs the extra `builds-async[fleet]`.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from builds_async.fleet._public import *  # noqa: F403  # bounded by its `__all__`
    from builds_async.fleet._public import __all__ as __all__
else:

    def __getattr__(name: str) -> object:
        """Import all public names when the first one is used, so that redis is loaded only then.

        Raises an ImportError that names the extra to install if redis is missing.
        """
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            importlib.import_module("redis.asyncio")
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "redis":
                raise
            raise ImportError(
                'builds_async.fleet needs an extra: pip install "builds-async[fleet]"', name="redis"
            ) from None
        public = importlib.import_module("builds_async.fleet._public")
        globals().update({it: getattr(public, it) for it in ("__all__", *public.__all__)})
        try:
            return globals()[name]
        except KeyError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None

    def __dir__() -> list[str]:
        return sorted({*__getattr__("__all__"), *globals()})
