"""The build variables of triggers."""

from builds_async.simulator.endpoints.calls import Call, Reply, find_trigger, known, read
from builds_async.simulator.endpoints.requests import NewVariables
from builds_async.simulator.endpoints.settings import merged
from builds_async.simulator.shapes import variables_body


def list_variables(call: Call) -> Reply:
    """GET builds/triggers/{trigger_uuid}/environment_variables."""
    return Reply(variables_body(call.state.calendar, find_trigger(call).settings.variables))


def set_variables(call: Call) -> Reply:
    """PATCH builds/triggers/{trigger_uuid}/environment_variables."""
    trigger, sent = find_trigger(call), read(call, NewVariables)
    variables = trigger.settings.variables = merged(call, trigger.settings.variables, sent)
    if call.state.behaviour.variables_answer == "changed":
        variables = {name: variables[name] for name in sent}
    return Reply(variables_body(call.state.calendar, variables))


def delete_variable(call: Call) -> Reply:
    """DELETE builds/triggers/{trigger_uuid}/environment_variables/{environment_variable_key}."""
    variables, name = find_trigger(call).settings.variables, call.names["environment_variable_key"]
    known(variables, name)
    del variables[name]
    return Reply(None)
