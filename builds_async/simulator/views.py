"""Renders records and builds as the API's JSON."""

from functools import cache

import msgspec

from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.simulator.account import Account
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.deployments import made_by
from builds_async.simulator.records import (
    BuildToken,
    Connection,
    DeployHook,
    Deployment,
    Json,
    Preview,
    Settings,
    Subscription,
    Trigger,
    Variable,
    Version,
    Worker,
)

# Fields of a connection that `git_repository` of a configuration lacks.
_CONNECTION_ONLY = ("repo_connection_uuid", "created_on", "modified_on", "deleted_on")


_AUTHOR, _AUTHOR_ID = "octocat@example.com", "0" * 32
"""The user who uploads and deploys everything, by email address and id."""


@cache
def _shown(kind: type[msgspec.Struct], without: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the fields that are shown of a kind of record, and of those that are dates."""
    names = tuple(name for name in kind.__struct_fields__ if name not in without)
    return names, tuple(name for name in names if name.endswith(("_on", "_at")))


class Views:
    """Renders an account's records, as they are now, as JSON values."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._calendar = account.calendar

    def _fields(self, record: msgspec.Struct, *without: str) -> Json:
        """The fields of a record by name, except `without`. Moments become dates."""
        names, dates = _shown(type(record), without)
        shown = {name: getattr(record, name) for name in names}
        for name in dates:
            shown[name] = self._calendar.api_date(shown[name])
        return shown

    def token(self, token: BuildToken) -> Json:
        """A build token."""
        return self._fields(token, "is_dead")

    def connection(self, connection: Connection) -> Json:
        """A repository connection."""
        return self._fields(connection)

    def variable(self, variable: Variable) -> Json:
        """A build variable; the value of a secret is null."""
        return self._fields(variable) | ({"value": None} if variable.is_secret else {})

    def variables(self, variables: dict[str, Variable]) -> Json:
        """Build variables by name."""
        return {name: self.variable(variable) for name, variable in variables.items()}

    def settings(self, settings: Settings) -> Json:
        """Build settings of a Worker's configuration."""
        return self._fields(settings, "token", "variables") | {
            "build_token_uuid": settings.token.build_token_uuid,
            "environment_variables": self.variables(settings.variables),
        }

    def trigger(self, trigger: Trigger) -> Json:
        """A trigger."""
        token = trigger.settings.token
        return self._trigger_of_build(trigger) | {
            "build_token_uuid": token.build_token_uuid,
            "build_token_name": token.build_token_name,
        }

    def _trigger_of_build(self, trigger: Trigger) -> Json:
        """A trigger inside a build: without its token."""
        return {
            **self._fields(trigger, "settings", "connection"),
            **self._fields(trigger.settings, "token", "variables"),
            "repo_connection": self.connection(trigger.connection),
        }

    def configuration(self, worker: Worker, production: Trigger) -> Json:
        """The build configuration of a Worker. A legacy trigger serves as the base of its Previews."""
        branches = production.branch_includes
        body: Json = {
            "script_tag": worker.tag,
            "git_repository": {
                "branch": branches[0] if branches else "main",
                **self._fields(production.connection, *_CONNECTION_ONLY),
            },
            "production_settings": self.settings(production.settings),
            "previews_enabled": worker.previews_enabled,
        }
        legacy = worker.legacy
        if legacy is not None:
            proposed = proposed_deploy_command(legacy.settings.deploy_command)
            body["previews_base_config"] = self.settings(legacy.settings) | {
                "proposed_deploy_command": proposed
            }
        elif worker.previews_base is not None:
            body["previews_base_config"] = self.settings(worker.previews_base)
        return body

    def listed_preview(self, preview: Preview) -> Json:
        """A Preview in a list."""
        return {
            "preview_id": preview.worker.tag,
            "branch": preview.branch,
            **self._fields(preview, "worker", "trigger"),
        }

    def preview(self, preview: Preview) -> Json:
        """A Preview with its settings."""
        return self.listed_preview(preview) | {"settings": self.settings(preview.trigger.settings)}

    def hook(self, hook: DeployHook) -> Json:
        """A deploy hook."""
        return self._fields(hook, "last_build_on")

    def listed_hook(self, hook: DeployHook) -> Json:
        """A deploy hook in a list: with the date of its last build."""
        moment = hook.last_build_on
        latest = None if moment is None else {"created_on": self._calendar.api_date(moment)}
        return self.hook(hook) | {"latest_build": latest}

    def subscription(self, subscription: Subscription) -> Json:
        """An event subscription."""
        return self._fields(subscription)

    def script(self, worker: Worker) -> Json:
        """A Worker in `workers/scripts`: `id` is the name, `tag` the tag."""
        return {
            "id": worker.name,
            "tag": worker.tag,
            "tags": list(worker.tags) or None,
            "routes": None,
            "tail_consumers": None,
            "created_on": self._calendar.workers_date(worker.created_on),
            "modified_on": self._calendar.workers_date(worker.modified_on),
            "etag": worker.tag * 2,
            "handlers": ["fetch"],
            "named_handlers": [],
            "has_assets": False,
            "has_modules": True,
            "last_deployed_from": "wrangler",
            "logpush": False,
            "compatibility_date": "2026-01-01",
            "compatibility_flags": [],
            "usage_model": "standard",
        }

    def found_script(self, worker: Worker) -> Json:
        """A Worker in `workers/scripts-search`: `id` is the tag."""
        return {
            "id": worker.tag,
            "script_name": worker.name,
            "service_name": worker.name,
            "environment_name": "production",
            "environment_is_default": True,
            "created_on": self._calendar.workers_date(worker.created_on),
            "modified_on": self._calendar.workers_date(worker.modified_on),
        }

    def deployment(self, deployment: Deployment) -> Json:
        """A deployment."""
        return {
            "id": deployment.id,
            "created_on": self._calendar.workers_date(deployment.created_on),
            "source": deployment.source,
            "strategy": "percentage",
            "author_email": _AUTHOR,
            "annotations": deployment.annotations,
            "versions": [
                {"version_id": version_id, "percentage": share}
                for version_id, share in deployment.versions.items()
            ],
        }

    def version(self, numbered: tuple[int, Version]) -> Json:
        """A version as lists show it, with its number."""
        number, version = numbered
        created = self._calendar.workers_date(version.created_on)
        return {
            "id": version.id,
            "number": number,
            "metadata": {
                "created_on": created,
                "modified_on": created,
                "source": version.source,
                "author_id": _AUTHOR_ID,
                "author_email": _AUTHOR,
                "hasPreview": version.has_preview,
            },
            "annotations": version.annotations,
        }

    def single_version(self, numbered: tuple[int, Version]) -> Json:
        """A version with its resources."""
        return self.version(numbered) | {
            "startup_time_ms": 12,
            "resources": {
                "bindings": [],
                "script": {"handlers": ["fetch"], "last_deployed_from": numbered[1].source},
                "script_runtime": {"compatibility_date": "2026-01-01", "usage_model": "standard"},
            },
        }

    def build(self, build: SimulatedBuild) -> Json:
        """A build."""
        api_date, details = self._calendar.api_date, build.details
        pull_request = details.pull_request_url and {
            "pull_request_url": details.pull_request_url,
            "created_on": api_date(build.created),
            "closed_on": None,
        }
        return {
            "build_uuid": build.build_uuid,
            "status": self._word(build.status),
            "build_outcome": self._word(build.visible_outcome),
            "created_on": api_date(build.created),
            "modified_on": api_date(build.changed),
            "initializing_on": api_date(build.entered(BuildStatus.INITIALIZING)),
            "running_on": api_date(build.entered(BuildStatus.RUNNING)),
            "stopped_on": self._stopped_on(build),
            "pull_request": pull_request,
            "deploy_hook": details.deploy_hook_name and {"deploy_hook_name": details.deploy_hook_name},
            "trigger": self._trigger_of_build(build.trigger),
            "build_trigger_metadata": self._metadata(build),
        }

    def single_build(self, build: SimulatedBuild) -> Json:
        """A build in the lookup by UUID: one that has uploaded a version has a preview URL."""
        body = self.build(build)
        url, worker = build.details.preview_url, self._account.scripts[build.external_script_id]
        given = self._account.behavior.preview_urls and worker.preview_urls
        if url and given and build.visible_outcome == BuildOutcome.SUCCESS and made_by(build) != "nothing":
            body["preview_url"] = url
        return body

    def canceled_build(self, build: SimulatedBuild) -> Json:
        """The result of canceling: the outcome and the end of the build, without its status."""
        return {
            "build_uuid": build.build_uuid,
            "build_outcome": self._word(build.outcome),
            "stopped_on": self._stopped_on(build),
        }

    def hook_build(self, build: SimulatedBuild, *, already_exists: bool) -> Json:
        """The result of triggering a deploy hook."""
        if self._account.behavior.hook_answer == "documents":
            name = self._account.scripts[build.external_script_id].name
            return {"build_uuid": build.build_uuid, "branch": build.details.branch, "worker": name}
        return {
            "build_uuid": build.build_uuid,
            "created_on": self._calendar.api_date(build.created),
            "status": self._word(build.status),
            "already_exists": already_exists,
        }

    def _stopped_on(self, build: SimulatedBuild) -> str | None:
        if build.status != BuildStatus.STOPPED:
            return None
        return self._calendar.api_date(build.entered(BuildStatus.STOPPED))

    def _word(self, word: str | None) -> str | None:
        """A status or outcome, replaced by the word from `Behavior.status_words` if it has one."""
        return None if word is None else self._account.behavior.status_words.get(word, str(word))

    def _metadata(self, build: SimulatedBuild) -> Json:
        details, settings, repository = build.details, build.settings, build.trigger.connection
        return {
            "build_trigger_source": details.source,
            "branch": details.branch,
            "commit_hash": details.commit_hash,
            "commit_message": details.commit_message,
            "author": details.author,
            "build_command": details.build_command,
            "deploy_command": details.deploy_command,
            "root_directory": settings.root_directory,
            "build_token_uuid": settings.token.build_token_uuid,
            "build_token_name": settings.token.build_token_name,
            "environment_variables": self._variables(build),
            "repo_name": repository.repo_name,
            "provider_account_name": repository.provider_account_name,
            "provider_type": repository.provider_type,
        }

    def _variables(self, build: SimulatedBuild) -> Json | None:
        variables = build.details.environment_variables or {}
        match self._account.behavior.environment_variables:
            case "null":
                return None
            case "strings":
                return dict(variables)
            case "objects":
                # A build does not store when its variables were created, so they get the date of its trigger.
                made = self._calendar.api_date(build.trigger.created_on)
                return {
                    name: {"is_secret": value is None, "created_on": made, "value": value}
                    for name, value in variables.items()
                }


def proposed_deploy_command(command: str) -> str | None:
    """The deploy command of a legacy trigger, rewritten for Previews; None if it can't be rewritten."""
    new = command.replace("wrangler versions upload", "wrangler preview")
    return new if new != command else None
