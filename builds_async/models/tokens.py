"""Build tokens, and the status of the client's own API token."""

from builds_async.models.base import Id, Model, Moment


class BuildToken(Model, frozen=True, kw_only=True):
    """An API token that builds deploy with. Its secret never comes back from the API."""

    build_token_uuid: Id
    """The id of the build token in Workers Builds."""
    build_token_name: str | None = None
    """The display name."""
    cloudflare_token_id: str | None = None
    """The id of the API token behind it, as `client.tokens.verify` gives it for that token."""
    owner_type: str | None = None
    """Who owns the API token. `user` has been seen; other words are not documented."""


class TokenStatus(Model, frozen=True, kw_only=True):
    """The status of the API token that the request was made with."""

    id: str | None = None
    """The id of the token, which is not its secret."""
    status: str | None = None
    """`active` for a token that works; any other word says why it does not."""
    not_before: Moment | None = None
    """The token is not valid before this time; None if it has no such limit."""
    expires_on: Moment | None = None
    """When the token expires; None if it does not."""
