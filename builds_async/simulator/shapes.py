"""The bodies of everything but builds: triggers, tokens, connections, configurations, subscriptions."""

from builds_async.simulator.identity import Calendar
from builds_async.simulator.records import (
    BuildToken,
    Connection,
    DeployHook,
    Json,
    Preview,
    Settings,
    Subscription,
    Trigger,
    Variable,
    Worker,
)


def connection_body(calendar: Calendar, connection: Connection) -> Json:
    """A repository connection."""
    return {
        "repo_connection_uuid": connection.repo_connection_uuid,
        "repo_id": connection.repo_id,
        "repo_name": connection.repo_name,
        "provider_type": connection.provider_type,
        "provider_account_id": connection.provider_account_id,
        "provider_account_name": connection.provider_account_name,
        "grant_id": connection.grant_id,
        "created_on": calendar.stamp(connection.created),
        "modified_on": calendar.stamp(connection.modified),
        "deleted_on": calendar.stamp(connection.deleted),
    }


def trigger_body(calendar: Calendar, trigger: Trigger, *, with_token: bool = True) -> Json:
    """A trigger; inside of a build it is without its token."""
    settings = trigger.settings
    token = {
        "build_token_uuid": settings.token.build_token_uuid,
        "build_token_name": settings.token.build_token_name,
    }
    return {
        "trigger_uuid": trigger.trigger_uuid,
        "external_script_id": trigger.external_script_id,
        "trigger_name": trigger.trigger_name,
        "build_command": settings.build_command,
        "deploy_command": settings.deploy_command,
        "root_directory": settings.root_directory,
        "branch_includes": trigger.branch_includes,
        "branch_excludes": trigger.branch_excludes,
        "path_includes": settings.path_includes,
        "path_excludes": settings.path_excludes,
        "build_caching_enabled": settings.build_caching_enabled,
        "created_on": calendar.stamp(trigger.created),
        "modified_on": calendar.stamp(trigger.modified),
        "deleted_on": calendar.stamp(trigger.deleted),
        "repo_connection": connection_body(calendar, trigger.connection),
        **(token if with_token else {}),
    }


def variable_body(calendar: Calendar, variable: Variable) -> Json:
    """A build variable; the value of a secret is null."""
    return {
        "is_secret": variable.is_secret,
        "created_on": calendar.stamp(variable.created),
        "value": None if variable.is_secret else variable.value,
    }


def variables_body(calendar: Calendar, variables: dict[str, Variable]) -> Json:
    """Build variables by name."""
    return {name: variable_body(calendar, variable) for name, variable in variables.items()}


def token_body(token: BuildToken) -> Json:
    """A build token."""
    return {
        "build_token_uuid": token.build_token_uuid,
        "build_token_name": token.build_token_name,
        "cloudflare_token_id": token.cloudflare_token_id,
        "owner_type": token.owner_type,
    }


def settings_body(calendar: Calendar, settings: Settings) -> Json:
    """Build settings of a Worker's configuration."""
    return {
        "build_command": settings.build_command,
        "deploy_command": settings.deploy_command,
        "root_directory": settings.root_directory,
        "path_includes": settings.path_includes,
        "path_excludes": settings.path_excludes,
        "build_caching_enabled": settings.build_caching_enabled,
        "build_token_uuid": settings.token.build_token_uuid,
        "environment_variables": variables_body(calendar, settings.variables),
    }


def proposed_deploy_command(command: str) -> str | None:
    """The deploy command of a legacy trigger for Previews; None if it can't be rewritten."""
    new = command.replace("wrangler versions upload", "wrangler preview")
    return new if new != command else None


def configuration_body(calendar: Calendar, worker: Worker, production: Trigger) -> Json:
    """The build configuration of a Worker. A legacy trigger stands in for the base of its Previews."""
    body: Json = {
        "script_tag": worker.tag,
        "git_repository": _git_repository(production),
        "production_settings": settings_body(calendar, production.settings),
        "previews_enabled": worker.previews_enabled,
    }
    legacy = worker.legacy
    if legacy is not None:
        proposed = proposed_deploy_command(legacy.settings.deploy_command)
        base = settings_body(calendar, legacy.settings) | {"proposed_deploy_command": proposed}
        body["previews_base_config"] = base
    elif worker.previews_base is not None:
        body["previews_base_config"] = settings_body(calendar, worker.previews_base)
    return body


def _git_repository(trigger: Trigger) -> Json:
    connection = trigger.connection
    return {
        "branch": trigger.branch_includes[0] if trigger.branch_includes else "main",
        "repo_id": connection.repo_id,
        "repo_name": connection.repo_name,
        "provider_type": connection.provider_type,
        "provider_account_id": connection.provider_account_id,
        "provider_account_name": connection.provider_account_name,
        "grant_id": connection.grant_id,
    }


def preview_summary(preview: Preview) -> Json:
    """A Preview as lists show it."""
    return {
        "preview_id": preview.worker.tag,
        "branch": preview.branch,
        "auto_build": preview.auto_build,
        "auto_delete": preview.auto_delete,
    }


def preview_body(calendar: Calendar, preview: Preview) -> Json:
    """A Preview with its settings."""
    return preview_summary(preview) | {"settings": settings_body(calendar, preview.trigger.settings)}


def hook_body(calendar: Calendar, hook: DeployHook) -> Json:
    """A deploy hook."""
    return {
        "deploy_hook_uuid": hook.deploy_hook_uuid,
        "deploy_hook_name": hook.deploy_hook_name,
        "branch": hook.branch,
        "external_script_id": hook.external_script_id,
        "created_on": calendar.stamp(hook.created),
        "modified_on": calendar.stamp(hook.modified),
    }


def subscription_body(calendar: Calendar, subscription: Subscription) -> Json:
    """An event subscription."""
    return {
        "id": subscription.id,
        "name": subscription.name,
        "enabled": subscription.enabled,
        "source": subscription.source,
        "destination": subscription.destination,
        "events": subscription.events,
        "created_at": calendar.stamp(subscription.created),
        "modified_at": calendar.stamp(subscription.modified),
    }


def script_body(calendar: Calendar, worker: Worker) -> Json:
    """A Worker as `workers/scripts` lists it: `id` is its name, `tag` its tag."""
    return {
        "id": worker.name,
        "tag": worker.tag,
        "tags": list(worker.tags) or None,
        "routes": None,
        "tail_consumers": None,
        "created_on": calendar.microstamp(worker.created),
        "modified_on": calendar.microstamp(worker.modified),
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


def search_body(calendar: Calendar, worker: Worker) -> Json:
    """A Worker as `workers/scripts-search` lists it: `id` is its tag."""
    return {
        "id": worker.tag,
        "script_name": worker.name,
        "service_name": worker.name,
        "environment_name": "production",
        "environment_is_default": True,
        "created_on": calendar.microstamp(worker.created),
        "modified_on": calendar.microstamp(worker.modified),
    }
