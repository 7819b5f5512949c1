"""Build tokens, and the API token of the client itself."""

from builds_async.models.base import Id, Model, Moment


class BuildToken(Model, frozen=True, kw_only=True):
    """An API token that builds deploy with, without its secret. `cloudflare_token_id` is its id as such."""

    build_token_uuid: Id
    build_token_name: str | None = None
    cloudflare_token_id: str | None = None
    owner_type: str | None = None


class TokenStatus(Model, frozen=True, kw_only=True):
    """The API token that a request was made with. `status` is `active`, or why it is not."""

    id: str | None = None
    status: str | None = None
    not_before: Moment | None = None
    expires_on: Moment | None = None
