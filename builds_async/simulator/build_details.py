"""The properties of a simulated build."""

from collections.abc import Mapping
from typing import Literal, TypeAlias, TypedDict

import msgspec

from builds_async.models.builds import BuildOutcome, BuildStatus

Moment: TypeAlias = tuple[float, str | BuildStatus | BuildOutcome]
"""A step of a build's script: seconds after the build is added, and a log line, a status or an outcome."""


Makes: TypeAlias = Literal["deployment", "version", "nothing"]
"""What a successful build leaves behind: a version that serves, a version that does not, or neither."""


class BuildOptions(TypedDict, total=False):
    """Options of the methods that add a build. `BuildDetails` has the meanings and the defaults."""

    external_script_id: str | None
    """The tag of the build's Worker."""
    version_id: str | None
    """The Worker version that the build produces."""
    branch: str
    """The branch that is built."""
    commit_hash: str | None
    """The commit that is built."""
    commit_message: str
    """The message of the commit."""
    author: str
    """The author of the commit."""
    source: str
    """Its `build_trigger_source`."""
    trigger_uuid: str | None
    """The trigger that started the build."""
    build_command: str | None
    """The build command."""
    deploy_command: str | None
    """The deploy command."""
    environment_variables: Mapping[str, str | None] | None
    """The build's variables by name; None as a value makes a secret."""
    pull_request_url: str | None
    """The URL of the pull request that is built."""
    deploy_hook_name: str | None
    """The name of the deploy hook that started the build."""
    preview_url: str | None
    """The URL of the built version."""
    listed: bool
    """Whether the lists of builds include it."""
    makes: Makes | None
    """What it leaves behind if it succeeds."""


class BuildDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of a build that stay the same while it runs."""

    external_script_id: str | None = None
    """The tag of the build's Worker, which must exist. None: a new Worker is added for this build."""
    version_id: str | None = None
    """The Worker version that the build produces. The build can be looked up by it. None: a new one."""
    branch: str = "main"
    """The branch that is built."""
    commit_hash: str | None = None
    """The commit that is built. None: a new one. `""`: the build was started without a commit."""
    commit_message: str = "Update the Worker"
    """The message of the commit."""
    author: str = "octocat"
    """The author of the commit."""
    source: str = "push_event"
    """Its `build_trigger_source`."""
    trigger_uuid: str | None = None
    """The trigger that started the build. None: the Worker's trigger for the branch."""
    build_command: str | None = None
    """The build command. None: that of the trigger when the build is added."""
    deploy_command: str | None = None
    """The deploy command. None: that of the trigger when the build is added."""
    environment_variables: Mapping[str, str | None] | None = None
    """The build's variables by name; None as a value makes a secret. None: those of the trigger."""
    pull_request_url: str | None = None
    """The URL of the pull request that is built."""
    deploy_hook_name: str | None = None
    """The name of the deploy hook that started the build."""
    preview_url: str | None = None
    """The URL of the built version. Only the lookup by UUID shows it, once the build has succeeded. None: one
    is generated if the account has a subdomain."""
    listed: bool = True
    """Whether the lists of builds include it. False: only lookups find it, as seen with builds of pull
    requests."""
    makes: Makes | None = None
    """What it leaves behind if it succeeds. None: what its deploy command makes. `wrangler versions upload`,
    for example, makes only a version."""
