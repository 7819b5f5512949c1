"""Deploys by hand in a simulated account: uploads, gradual deployments, rollbacks, secrets."""

from collections.abc import Mapping

from builds_async.simulator.account import Account
from builds_async.simulator.deployments import MESSAGE, TRIGGERED_BY, share
from builds_async.simulator.records import Deployment, Version, Worker


class DeploymentSetup:
    """Uploads versions of Workers and deploys them without a build, as people do.

    Successful builds upload and deploy by themselves: see `makes` of `BuildOptions`. `age` is how many
    seconds ago something was done (0). Every method raises a ValueError if there is no Worker with the tag.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    def add_version(
        self,
        external_script_id: str,
        *,
        source: str = "wrangler",
        triggered_by: str = "upload",
        message: str | None = None,
        has_preview: bool = True,
        age: float = 0.0,
    ) -> str:
        """Upload a version that no build made, without deploying it, and return its id."""
        tag = self._worker(external_script_id).tag
        version = Version(
            id=self._account.ids.uuid(),
            created_on=self._account.now() - age,
            source=source,
            annotations=_annotations(triggered_by, message),
            has_preview=has_preview,
        )
        self._account.deployments.add_version(tag, version)
        return version.id

    def deploy(
        self,
        external_script_id: str,
        versions: str | Mapping[str, float] | None = None,
        *,
        source: str = "wrangler",
        triggered_by: str = "deployment",
        message: str | None = None,
        age: float = 0.0,
    ) -> str:
        """Deploy a version of a Worker by hand and return the deployment's id.

        Two versions with their percentages are a gradual deployment. None uploads a new version first, as
        `wrangler deploy` on a laptop does. ValueError for a version that the Worker does not have, and for
        percentages whose sum is not 100.
        """
        tag = self._worker(external_script_id).tag
        if versions is None:
            versions = self.add_version(tag, source=source, triggered_by="version_upload", age=age)
        shares = share(versions)
        unknown = shares.keys() - {version.id for version in self._account.versions_of(tag)}
        if unknown:
            raise ValueError(f"the Worker has no version {', '.join(sorted(unknown))}")
        deployment = Deployment(
            id=self._account.ids.uuid(),
            created_on=self._account.now() - age,
            source=source,
            annotations=_annotations(triggered_by, message),
            versions=shares,
        )
        self._account.deployments.add(tag, deployment)
        return deployment.id

    def roll_back(
        self, external_script_id: str, version_id: str, *, message: str | None = None, age: float = 0.0
    ) -> str:
        """Deploy an older version again, as `wrangler rollback` does, and return the deployment's id."""
        return self.deploy(external_script_id, version_id, triggered_by="rollback", message=message, age=age)

    def change_secret(self, external_script_id: str, *, age: float = 0.0) -> str:
        """Change a secret. This makes and deploys a new version of the same code; returns its id."""
        version = self.add_version(external_script_id, source="api", triggered_by="secret", age=age)
        self.deploy(external_script_id, version, source="api", triggered_by="secret", age=age)
        return version

    def edit(self, external_script_id: str, *, age: float = 0.0) -> str:
        """Edit a Worker in the dashboard. This makes and deploys a new version; returns the version's id."""
        version = self.add_version(external_script_id, source="dash", age=age)
        self.deploy(external_script_id, version, source="dash", triggered_by="upload", age=age)
        return version

    def set_subdomain(self, subdomain: str | None) -> None:
        """Give the account another subdomain of workers.dev, or none."""
        self._account.subdomain = subdomain

    def set_workers_dev(
        self, external_script_id: str, *, enabled: bool = True, previews_enabled: bool = True
    ) -> None:
        """Set whether a Worker, and previews of its versions, are served below the account's subdomain."""
        worker = self._worker(external_script_id)
        worker.workers_dev, worker.preview_urls = enabled, previews_enabled

    def _worker(self, tag: str) -> Worker:
        worker = self._account.scripts.get(tag)
        if worker is None or worker.parent is not None:
            raise ValueError(f"there is no Worker with the tag {tag!r}; add_worker() returns tags")
        return worker


def _annotations(triggered_by: str, message: str | None) -> dict[str, str]:
    return {TRIGGERED_BY: triggered_by} | ({} if message is None else {MESSAGE: message})
