"""The refusals of the API: one exception for each status and code, with the API's text."""

from typing import ClassVar


class RefusalError(Exception):
    """A refused request: the HTTP status, and the code and message in the envelope."""

    status: ClassVar[int]
    code: ClassVar[int]
    message: ClassVar[str]


class MissingTokenError(RefusalError):
    """No credentials."""

    status = 401
    code = 12005
    message = "Missing token from authorization header"


class InvalidTokenError(RefusalError):
    """Unknown credentials, or credentials that don't belong to a user."""

    status = 401
    code = 12006
    message = "Invalid token"


class InvalidApiTokenError(RefusalError):
    """Not a user-owned token, where a token is verified."""

    status = 401
    code = 1000
    message = "Invalid API Token"


class ForbiddenError(RefusalError):
    """A foreign account, or a missing permission."""

    status = 403
    code = 10000
    message = "Authentication error"


class UnknownError(RefusalError):
    """An unknown resource or route."""

    status = 404
    code = 12000
    message = "Not found"


class NoScriptError(RefusalError):
    """An unknown Worker name, deployment or version, or an account without a subdomain."""

    status = 404
    code = 10007
    message = "This Worker does not exist on your account."


class NoEnvironmentError(RefusalError):
    """An unknown Worker name, with the code for environments of old Workers."""

    status = 404
    code = 10090
    message = "This service environment does not exist."


class BadBodyError(RefusalError):
    """An invalid body."""

    status = 400
    code = 12002
    message = "Invalid request body"


class BadQueryError(RefusalError):
    """A missing or invalid query parameter."""

    status = 400
    code = 12013
    message = "Invalid query parameter"


class ConflictError(RefusalError):
    """A conflict with an existing resource."""

    status = 409
    code = 12049
    message = "Resource already exists"


class ThirdTriggerError(RefusalError):
    """A third trigger of a Worker."""

    status = 400
    code = 12030
    message = "A Worker can have at most two triggers"


class ThirdTriggerConflictError(ThirdTriggerError):
    """A third trigger of a Worker, refused with 409."""

    status = 409


class NotInstalledError(RefusalError):
    """A provider account without Cloudflare's app. The text is as misleading as the real one."""

    status = 404
    code = 8000008
    message = "This project's Git account is disconnected"


class NotSelectedError(RefusalError):
    """A repository that Cloudflare's app has no access to. The text is as misleading as the real one."""

    status = 404
    code = 8000012
    message = "This project's repository no longer exists"


class AlreadySubscribedError(RefusalError):
    """A second subscription to the same resource."""

    status = 405
    code = 10405
    message = "Multiple subscriptions on same resource not supported"


class TooManyBuildsError(RefusalError):
    """Too many builds started by deploy hooks."""

    status = 429
    code = 12051
    message = "Rate limit exceeded"


BY_STATUS: dict[int, type[RefusalError]] = {400: BadBodyError, 404: UnknownError, 409: ConflictError}
"""The refusal for a status that a switch of `Behavior` names."""

THIRD_TRIGGER: dict[int, type[RefusalError]] = {400: ThirdTriggerError, 409: ThirdTriggerConflictError}
"""The refusal of a third trigger, by its status."""
