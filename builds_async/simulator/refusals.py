"""How the API refuses a request: one exception for each status and code, with its text."""

from typing import ClassVar


class RefusalError(Exception):
    """A refused request: the HTTP status, and the code and the message of the envelope."""

    status: ClassVar[int]
    code: ClassVar[int]
    message: ClassVar[str]


class MissingTokenError(RefusalError):
    """No credentials."""

    status, code, message = 401, 12005, "Missing token from authorization header"


class InvalidTokenError(RefusalError):
    """Unknown credentials, or not those of a user."""

    status, code, message = 401, 12006, "Invalid token"


class InvalidApiTokenError(RefusalError):
    """No token of a user, where the token itself is looked up."""

    status, code, message = 401, 1000, "Invalid API Token"


class ForbiddenError(RefusalError):
    """Another account, or a missing permission."""

    status, code, message = 403, 10000, "Authentication error"


class UnknownError(RefusalError):
    """No such thing, or no such route."""

    status, code, message = 404, 12000, "Not found"


class BadBodyError(RefusalError):
    """A body that makes no sense."""

    status, code, message = 400, 12002, "Invalid request body"


class BadQueryError(RefusalError):
    """A query parameter that is missing or wrong."""

    status, code, message = 400, 12013, "Invalid query parameter"


class ConflictError(RefusalError):
    """A conflict with what exists."""

    status, code, message = 409, 12049, "Resource already exists"


class NotInstalledError(RefusalError):
    """A provider account that has not installed Cloudflare's app. The text misleads, as the real one does."""

    status, code, message = 404, 8000008, "This project's Git account is disconnected"


class NotSelectedError(RefusalError):
    """A repository that Cloudflare's app may not see. The text misleads as well."""

    status, code, message = 404, 8000012, "This project's repository no longer exists"


class AlreadySubscribedError(RefusalError):
    """A second subscription to one resource."""

    status, code, message = 405, 10405, "Multiple subscriptions on same resource not supported"


class TooManyBuildsError(RefusalError):
    """Too many builds that deploy hooks started."""

    status, code, message = 429, 12051, "Rate limit exceeded"


BY_STATUS: dict[int, type[RefusalError]] = {400: BadBodyError, 404: UnknownError, 409: ConflictError}
"""The refusal for a status that a switch of `Behaviour` names."""
