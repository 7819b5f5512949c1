"""Triggers, and the builds that are started by hand."""

from builds_async.simulator import bodies
from builds_async.simulator.endpoints.calls import Call, Reply, find_trigger, listed_worker, read
from builds_async.simulator.endpoints.requests import NewBuild, NewTrigger, TriggerChange
from builds_async.simulator.endpoints.settings import changed, named_worker, new_settings
from builds_async.simulator.records import Connection, Trigger
from builds_async.simulator.refusals import THIRD_TRIGGER, UNKNOWN_REFERENCE
from builds_async.simulator.shapes import trigger_body
from builds_async.simulator.state import MAX_TRIGGERS


def list_triggers(call: Call) -> Reply:
    """GET builds/workers/{script_tag}/triggers."""
    worker = listed_worker(call)
    if worker is None:
        return Reply([])
    listed = call.state.behaviour.deleted_triggers == "listed"
    triggers = worker.triggers if listed else worker.live_triggers
    return Reply([trigger_body(call.state.calendar, trigger) for trigger in triggers])


def create_trigger(call: Call) -> Reply:
    """POST builds/triggers."""
    asked = read(call, NewTrigger)
    worker, connection = named_worker(call, asked.external_script_id), _connection(call, asked)
    settings = new_settings(call, asked)
    if len(worker.live_triggers) >= MAX_TRIGGERS:
        raise THIRD_TRIGGER[call.state.behaviour.third_trigger]
    trigger = call.state.registry.add_trigger(
        worker,
        connection,
        settings,
        name=asked.trigger_name,
        branch_includes=asked.branch_includes,
        branch_excludes=asked.branch_excludes,
    )
    return Reply(trigger_body(call.state.calendar, trigger))


def update_trigger(call: Call) -> Reply:
    """PATCH builds/triggers/{trigger_uuid}."""
    trigger, change = find_trigger(call), read(call, TriggerChange)
    trigger.settings = changed(call, trigger.settings, change)
    sent = change.sent()
    trigger.trigger_name = sent.get("trigger_name", trigger.trigger_name)
    trigger.branch_includes = sent.get("branch_includes", trigger.branch_includes)
    trigger.branch_excludes = sent.get("branch_excludes", trigger.branch_excludes)
    trigger.modified = call.now
    return Reply(trigger_body(call.state.calendar, trigger))


def delete_trigger(call: Call) -> Reply:
    """DELETE builds/triggers/{trigger_uuid}."""
    call.state.remove_trigger(find_trigger(call))
    return Reply(None)


def purge_build_cache(call: Call) -> Reply:
    """POST builds/triggers/{trigger_uuid}/purge_build_cache."""
    find_trigger(call)
    return Reply(None)


def start_build(call: Call) -> Reply:
    """POST builds/triggers/{trigger_uuid}/builds."""
    return start(call, find_trigger(call))


def start(call: Call, trigger: Trigger) -> Reply:
    """Start the build that the body asks for."""
    asked = read(call, NewBuild)
    build = call.state.start_build(
        trigger,
        source=call.state.behaviour.started_source,
        branch=asked.branch or None,
        commit_hash=asked.commit_hash or None,
    )
    return Reply(bodies.build_body(call.state, build))


def _connection(call: Call, asked: NewTrigger) -> Connection:
    connection = call.state.registry.connections.get(asked.repo_connection_uuid)
    if connection is None:
        raise UNKNOWN_REFERENCE[call.state.behaviour.unknown_references]
    return connection
