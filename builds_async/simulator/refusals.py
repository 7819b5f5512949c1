"""How the API refuses a request: one exception for each status and code, with its text."""

from typing import ClassVar


class RefusalError(Exception):
    """A refused request: the HTTP status, and the code and the message of the envelope."""

    status: ClassVar[int]
    code: ClassVar[int]
    message: ClassVar[str]


class MissingTokenError(RefusalError):
    """No credentials."""

    status = 401
    code = 12005
    message = "Missing token from authorization header"


class InvalidTokenError(RefusalError):
    """Unknown credentials, or not those of a user."""

    status = 401
    code = 12006
    message = "Invalid token"


class InvalidApiTokenError(RefusalError):
    """No token of a user, where the token itself is looked up."""

    status = 401
    code = 1000
    message = "Invalid API Token"


class ForbiddenError(RefusalError):
    """Another account, or a missing permission."""

    status = 403
    code = 10000
    message = "Authentication error"


class UnknownError(RefusalError):
    """No such thing, or no such route."""

    status = 404
    code = 12000
    message = "Not found"


class NoScriptError(RefusalError):
    """No Worker of that name, no such deployment or version of it, or no subdomain."""

    status = 404
    code = 10007
    message = "This Worker does not exist on your account."


class NoEnvironmentError(RefusalError):
    """No Worker of that name, as an old environment has it."""

    status = 404
    code = 10090
    message = "This service environment does not exist."


class BadBodyError(RefusalError):
    """A body that makes no sense."""

    status = 400
    code = 12002
    message = "Invalid request body"


class BadQueryError(RefusalError):
    """A query parameter that is missing or wrong."""

    status = 400
    code = 12013
    message = "Invalid query parameter"


class ConflictError(RefusalError):
    """A conflict with what exists."""

    status = 409
    code = 12049
    message = "Resource already exists"


class ThirdTriggerError(RefusalError):
    """A third trigger of a Worker."""

    status = 400
    code = 12030
    message = "A Worker can have at most two triggers"


class ThirdTriggerConflictError(ThirdTriggerError):
    """The same, with another status."""

    status = 409


class NotInstalledError(RefusalError):
    """A provider account that has not installed Cloudflare's app. The text misleads, as the real one does."""

    status = 404
    code = 8000008
    message = "This project's Git account is disconnected"


class NotSelectedError(RefusalError):
    """A repository that Cloudflare's app may not see. The text misleads as well."""

    status = 404
    code = 8000012
    message = "This project's repository no longer exists"


class AlreadySubscribedError(RefusalError):
    """A second subscription to one resource."""

    status = 405
    code = 10405
    message = "Multiple subscriptions on same resource not supported"


class TooManyBuildsError(RefusalError):
    """Too many builds that deploy hooks started."""

    status = 429
    code = 12051
    message = "Rate limit exceeded"


BY_STATUS: dict[int, type[RefusalError]] = {400: BadBodyError, 404: UnknownError, 409: ConflictError}
"""The refusal for a status that a switch of `Behaviour` names."""

THIRD_TRIGGER: dict[int, type[RefusalError]] = {400: ThirdTriggerError, 409: ThirdTriggerConflictError}
"""The refusal of a third trigger, by its status."""
