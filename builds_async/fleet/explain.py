"""Explains errors of the engine's client library, with advice."""

from types import ModuleType

from builds_async.errors import BuildsError, ConfigurationError
from builds_async.fleet.address import redacted
from builds_async.fleet.engine import EngineError

IS_A_CLUSTER = "this is a node of a cluster, which the fleet does not support: use a single instance"

_READS = ("INFO", "CONFIG GET")  # the commands that read settings
_REFUSED = ("NOAUTH", "WRONGPASS", "invalid password", "invalid username-password", "without any password")
_CLUSTER = ("MOVED ", "ASK ", "CROSSSLOT", "CLUSTERDOWN Hash slot")


class ForbiddenError(ConfigurationError):
    """The engine does not let this user read its settings. Some hosted engines don't."""


class Explanations:
    """Turns an error of the client library into an `EngineError` (temporary) or a `ConfigurationError`.

    `kinds` is the module with the library's exceptions, `name` the name of the engine. The `hidden` words are
    redacted, because the library's text may quote a command that has the password.
    """

    def __init__(self, kinds: ModuleType, name: str, hidden: tuple[str, ...], timeout: float) -> None:
        self._kinds, self._name, self._hidden, self._timeout = kinds, name, hidden, timeout

    def __call__(self, error: BaseException, what: str) -> BuildsError:
        """Our error for one that the client library raised in the command `what`."""
        text = redacted(str(error), self._hidden)
        if what in _READS and (self._is_forbidden(error, text) or "unknown command" in text.lower()):
            return ForbiddenError(text)
        if advice := self._advice(error, text, what):
            return ConfigurationError(f"{self._name}: {advice}")
        if isinstance(error, (TimeoutError, self._kinds.TimeoutError)):
            text = f"no response within {self._timeout:g} s"
        return EngineError(f"{self._name}: {what} failed: {text or type(error).__name__}")

    def _is_forbidden(self, error: BaseException, text: str) -> bool:
        return isinstance(error, self._kinds.NoPermissionError) or text.startswith("NOPERM")

    def _advice(self, error: BaseException, text: str, what: str) -> str:
        """Advice on the change that the user has to make; empty if the error is temporary."""
        kinds = self._kinds
        if self._is_forbidden(error, text):
            return (
                f"the user of the URL may not run {what}: allow it EVAL, EVALSHA, SUBSCRIBE and PUBLISH, and"
                f" the keys and channels that begin with builds-async ({text})"
            )
        if isinstance(error, kinds.AuthenticationError) or any(it in text for it in _REFUSED):
            return "the engine refuses the user or the password: correct them in its URL"
        if isinstance(error, kinds.InvalidResponse) or "Protocol Error" in text:
            return "the server at this address is not a Redis or Valkey: correct the URL"
        if isinstance(error, (kinds.MovedError, kinds.AskError)) or text.startswith(_CLUSTER):
            return IS_A_CLUSTER
        return self._advice_on_tls(text)

    def _advice_on_tls(self, text: str) -> str:
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return (
                "its TLS certificate can't be verified: name the file with the certificate of its CA in the"
                f" URL, as ?ssl_ca_certs=/path/ca.pem ({text})"
            )
        if self._name.startswith("rediss://") and "No such file or directory" in text:
            return (
                "a file that the URL names does not exist: correct ssl_ca_certs, ssl_certfile or ssl_keyfile"
            )
        return ""
