"""A repository and build settings to connect a Worker with."""

from builds_async import NewBuildSettings, NewGitRepository

TOKEN_UUID = "9c7f2e52-0e58-4a0c-8a0e-0a5a1b0f6d11"

GIT = NewGitRepository(
    provider_type="github",
    provider_account_id="4242",
    provider_account_name="acme",
    repo_id="812345678",
    repo_name="shop",
    branch="main",
)
SETTINGS = NewBuildSettings(
    build_command="make", deploy_command="npx wrangler deploy", build_token_uuid=TOKEN_UUID
)
