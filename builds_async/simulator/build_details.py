"""What is said about a build when it is added."""

from collections.abc import Mapping
from typing import Literal, TypeAlias, TypedDict

import msgspec

from builds_async.models.builds import BuildOutcome, BuildStatus

Moment: TypeAlias = tuple[float, str | BuildStatus | BuildOutcome]
"""Something that happens in a build: seconds after it was added, and a log line, a status or the outcome."""


Makes: TypeAlias = Literal["deployment", "version", "nothing"]
"""What a successful build leaves behind: a version that serves, a version that does not, or neither."""


class BuildOptions(TypedDict, total=False):
    """Options of the methods that add a build. `BuildDetails` has the meanings and the defaults."""

    external_script_id: str | None
    """The tag of its Worker."""
    version_id: str | None
    """The Worker version that it makes."""
    branch: str
    """The branch that it builds."""
    commit_hash: str | None
    """The commit that it builds."""
    commit_message: str
    """The message of that commit."""
    author: str
    """The author of that commit."""
    source: str
    """Its `build_trigger_source`."""
    trigger_uuid: str | None
    """The trigger that started it."""
    build_command: str | None
    """The command that builds."""
    deploy_command: str | None
    """The command that deploys."""
    environment_variables: Mapping[str, str | None] | None
    """Values by name; None is a secret."""
    pull_request_url: str | None
    """The pull request that it is for."""
    deploy_hook_name: str | None
    """The deploy hook that started it."""
    preview_url: str | None
    """Where its version can be seen."""
    listed: bool
    """Whether lists have it."""
    makes: Makes | None
    """What it leaves behind if it succeeds."""


class BuildDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while a build runs."""

    external_script_id: str | None = None
    """The tag of its Worker, which must exist. None: a new Worker is added for this build."""
    version_id: str | None = None
    """The Worker version by which the build can be looked up. None: a new one."""
    branch: str = "main"
    """The branch that it builds."""
    commit_hash: str | None = None
    """None: a new one. An empty text, as for builds that were started without a commit, is kept."""
    commit_message: str = "Update the Worker"
    """The message of that commit."""
    author: str = "octocat"
    """The author of that commit."""
    source: str = "push_event"
    """Its `build_trigger_source`."""
    trigger_uuid: str | None = None
    """The trigger that started it. None: the one of its Worker that builds the branch."""
    build_command: str | None = None
    """None: the trigger's at the moment at which the build is added."""
    deploy_command: str | None = None
    """None: the trigger's at the moment at which the build is added."""
    environment_variables: Mapping[str, str | None] | None = None
    """Values by name; a value of None is a secret. None: the trigger's at that moment."""
    pull_request_url: str | None = None
    """The pull request that it is for."""
    deploy_hook_name: str | None = None
    """The deploy hook that started it."""
    preview_url: str | None = None
    """Shown by the lookup of this one build once it has succeeded. None: one is made up."""
    listed: bool = True
    """False: it can be looked up by its UUID only, as has been seen of builds of pull requests."""
    makes: Makes | None = None
    """What it leaves behind if it succeeds. None: what its deploy command says, `wrangler versions upload`
    for example only a version."""
