"""Build tokens, and the status of the client's own API token."""

from builds_async.models.base import Id, Model, Moment


class BuildToken(Model, frozen=True, kw_only=True):
    """An API token that builds use to deploy. The API never returns its secret."""

    build_token_uuid: Id
    """The id of the build token in Workers Builds."""
    build_token_name: str | None = None
    """The display name."""
    cloudflare_token_id: str | None = None
    """The id of the underlying API token, as `client.tokens.verify` returns it."""
    owner_type: str | None = None
    """The kind of owner of the API token. Only `user` has been seen; values are undocumented."""


class TokenStatus(Model, frozen=True, kw_only=True):
    """The status of the API token that authenticated the request."""

    id: str | None = None
    """The id of the token; not its secret."""
    status: str | None = None
    """`active` if the token can be used; any other value says why it can't."""
    not_before: Moment | None = None
    """When the token becomes valid; None if it has no such limit."""
    expires_on: Moment | None = None
    """When the token expires; None if it never does."""
