"""How the API says no: one exception for each status and code, with the words that go with them."""

from typing import ClassVar, Final


class RefusalError(Exception):
    """A request is refused: the HTTP status, and the code and the message of the envelope."""

    status: ClassVar[int]
    code: ClassVar[int]
    message: ClassVar[str]


class MissingTokenError(RefusalError):
    """Nothing was shown."""

    status, code, message = 401, 12005, "Missing token from authorization header"


class InvalidTokenError(RefusalError):
    """What was shown is unknown, or not of a user."""

    status, code, message = 401, 12006, "Invalid token"


class InvalidApiTokenError(RefusalError):
    """No token of a user, where the token itself is the question."""

    status, code, message = 401, 1000, "Invalid API Token"


class ForbiddenError(RefusalError):
    """Another account, or a permission is missing."""

    status, code, message = 403, 10000, "Authentication error"


class UnknownError(RefusalError):
    """There is no such thing, or no such route."""

    status, code, message = 404, 12000, "Not found"


class BadBodyError(RefusalError):
    """The request makes no sense."""

    status, code, message = 400, 12002, "Invalid request body"


class BadQueryError(RefusalError):
    """A parameter is missing or wrong."""

    status, code, message = 400, 12013, "Invalid query parameter"


class ConflictError(RefusalError):
    """It does not go together with what is there."""

    status, code, message = 409, 12049, "Resource already exists"


class NotInstalledError(RefusalError):
    """The account of a provider has not let Cloudflare in. The text misleads, as the real one does."""

    status, code, message = 404, 8000008, "This project's Git account is disconnected"


class NotSelectedError(RefusalError):
    """The account has let Cloudflare in, but not to this repository. The text misleads as well."""

    status, code, message = 404, 8000012, "This project's repository no longer exists"


class AlreadySubscribedError(RefusalError):
    """The resource has a subscription."""

    status, code, message = 405, 10405, "Multiple subscriptions on same resource not supported"


class TooManyBuildsError(RefusalError):
    """Deploy hooks started too many builds."""

    status, code, message = 429, 12051, "Rate limit exceeded"


UNKNOWN_REFERENCE: Final[dict[int, type[RefusalError]]] = {400: BadBodyError, 404: UnknownError}
THIRD_TRIGGER: Final[dict[int, type[RefusalError]]] = {400: BadBodyError, 409: ConflictError}
