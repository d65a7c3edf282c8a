"""Starts the local cloud: MiniStack 1.5.33 with its known defects mended, so that an unmodified `cdk deploy` gives what AWS gives.

Takes its settings from the environment, as MiniStack does (GATEWAY_PORT, TMPDIR, AUTH, …; README.md lists them).
Every mend is one function below whose docstring says why. A mend that no longer finds what it changes ends
the launcher with its name: then MiniStack has moved on, and the mend must be checked and rewritten or dropped.
"""

import functools
import inspect
import json
import os
import string
import sys
import threading
from importlib.metadata import version

MINISTACK_VERSION = "1.5.33"
MENDS = []


class Moved(Exception):
    """What a mend changes is not where (or not what) it was in MINISTACK_VERSION."""


def mend(function):
    MENDS.append(function)
    return function


def expect(as_known: bool, what: str) -> None:
    if not as_known:
        raise Moved(what)


def handlers(resource_type: str) -> dict:
    """CloudFormation's create, update and delete functions of one resource type."""
    from ministack.services.cloudformation import provisioners

    found = provisioners._RESOURCE_HANDLERS.get(resource_type, {})
    expect({"create", "update", "delete"} <= found.keys(), f"{resource_type} has no create, update and delete")
    expect(found.get("update_with_logical_id") is True, f"the update of {resource_type} takes other arguments")
    return found


# Nested stacks


@mend
def keep_attributes_of_unchanged_resources() -> None:
    """Updating a nested stack forgot the attributes (Arn, StreamArn, …) of each resource that had not changed, and then failed."""
    from ministack.services.cloudformation import _stacks, provisioners

    update = provisioners._update_resource
    expect(list(inspect.signature(update).parameters)[4:] == ["stack_name", "logical_id", "old_attrs"],
           "_update_resource takes other arguments")
    same = update("AWS::SQS::Queue", "probe", {}, {}, "probe", "probe", {"Arn": "kept"})
    expect(same == ("probe", {"Arn": "kept"}), "_update_resource keeps no attributes at all")
    in_nested_stack = inspect.getsource(provisioners._cfn_nested_stack_deploy)
    expect("old_tagged, new_tagged, child_name, child_logical_id,\n" in in_nested_stack, "nested stacks update otherwise")

    def update_with_attributes(resource_type, physical_id, old, new, stack_name, logical_id=None, old_attrs=None):
        if old_attrs is None:
            record = _stacks.get(stack_name, {}).get("_resources", {}).get(logical_id, {})
            old_attrs = record.get("Attributes")
        return update(resource_type, physical_id, old, new, stack_name, logical_id, old_attrs)

    provisioners._update_resource = update_with_attributes


# Invoking functions


@mend
def send_invocations_without_nagle() -> None:
    """The Runtime API sends headers and body in two packets, and Nagle's algorithm held the second back for 40 ms."""
    from ministack.core.lambda_runtime import ProvidedWorker

    build = ProvidedWorker._build_handler_class

    def build_without_nagle(worker, generation, pending):
        handler = build(worker, generation, pending)
        expect(handler.disable_nagle_algorithm is False, "the Runtime API already sends without Nagle's algorithm")
        handler.disable_nagle_algorithm = True
        return handler

    ProvidedWorker._build_handler_class = build_without_nagle
    build_without_nagle(None, 0, None)


@mend
def wait_briefly_for_log_lines() -> None:
    """After each invocation MiniStack waited up to 50 ms for a first log line and 5 ms for the next: now 3 ms and 1 ms."""
    from ministack.core.lambda_runtime import Worker

    drain = Worker._drain_stderr_bounded
    expect(drain.__defaults__ == (0.050, 0.005, 0.250), f"the waits are now {drain.__defaults__}")
    drain.__defaults__ = (0.003, 0.001, 0.250)


@mend
def poll_rarely_when_idle() -> None:
    """Every idle bootstrap looked for work ten times a second, which took 14 % of a core with 172 of them: now once."""
    from ministack.core.lambda_runtime import ProvidedWorker

    expect(ProvidedWorker._build_handler_class.__name__ == "build_without_nagle", "this mend goes after the one of Nagle")
    build = ProvidedWorker._build_handler_class

    class Patient:
        """A queue whose reader waits ten times as long as it asks to."""

        def __init__(self, queue):
            self.queue = queue

        def get(self, timeout):
            return self.queue.get(timeout=timeout * 10)

    ProvidedWorker._build_handler_class = lambda worker, generation, pending: build(worker, generation, Patient(pending))


@mend
def run_only_a_few_at_once() -> None:
    """Every concurrent invocation got a new process at once: 200 callers made 340 that starved each other into their time-outs.
    Now a few for each processor run, and the others wait for their turn before their time-out begins."""
    from ministack.services import lambda_svc

    execute = lambda_svc._execute_function_provided_warm
    expect(list(inspect.signature(execute).parameters) == ["func", "event", "request_id"], "functions are executed otherwise")
    turns = threading.BoundedSemaphore(8 * (os.cpu_count() or 1))

    def execute_in_turn(func, event, request_id):
        with turns:
            return execute(func, event, request_id)

    lambda_svc._execute_function_provided_warm = execute_in_turn


# Tables and streams


@mend
def write_one_item_at_a_time() -> None:
    """Step Functions wrote to DynamoDB from its own threads beside the API's writes, and updates were lost (11 of 2,000)."""
    from ministack.services import dynamodb

    names = ["_put_item", "_delete_item", "_update_item", "_batch_write_item", "_transact_write_items",
             "_execute_statement", "_batch_execute_statement", "_execute_transaction"]
    one_writer = threading.RLock()

    def locked(write):
        @functools.wraps(write)
        def wrapped(*arguments, **named):
            with one_writer:
                return write(*arguments, **named)
        return wrapped

    for name in names:
        expect(callable(getattr(dynamodb, name, None)), f"dynamodb has no {name}")
        setattr(dynamodb, name, locked(getattr(dynamodb, name)))


@mend
def forget_stream_positions_at_stop() -> None:
    """Streams start again at 0 after a restart, but their readers' positions were kept, so the first records were skipped."""
    from ministack.services import lambda_svc

    get_state = lambda_svc.get_state
    expect('"dynamodb_stream_positions"' in inspect.getsource(get_state), "Lambda's state holds no stream positions")

    def get_state_without_positions():
        return {**get_state(), "dynamodb_stream_positions": {}}

    lambda_svc.get_state = get_state_without_positions


@mend
def carry_out_time_to_live() -> None:
    """CloudFormation ignored TimeToLiveSpecification, so that no item of a deployed table ever expired."""
    from ministack.services import dynamodb

    table = handlers("AWS::DynamoDB::Table")
    create, update, delete = table["create"], table["update"], table["delete"]
    create("probe", {"TableName": "probe", "TimeToLiveSpecification": {"AttributeName": "x", "Enabled": True}}, "probe")
    expect("probe" not in dynamodb._ttl_settings, "TimeToLiveSpecification is carried out already")
    delete("probe", {})
    expect(callable(dynamodb._update_ttl), "dynamodb cannot update a time to live")

    def apply(name, properties):
        specification = properties.get("TimeToLiveSpecification")
        if specification is None:
            dynamodb._ttl_settings.pop(name, None)
            return
        # CloudFormation hands booleans over as they stand in the template: true or "true".
        enabled = str(specification.get("Enabled")).lower() == "true"
        status, _, body = dynamodb._update_ttl(
            {"TableName": name, "TimeToLiveSpecification": {**specification, "Enabled": enabled}})
        if status >= 400:
            raise ValueError(f"TimeToLiveSpecification of {name} refused: {body!r}")

    def create_with_ttl(logical_id, properties, stack_name):
        name, attributes = create(logical_id, properties, stack_name)
        apply(name, properties)
        return name, attributes

    def update_with_ttl(physical_id, old, new, stack_name, logical_id=None):
        name, attributes = update(physical_id, old, new, stack_name, logical_id)
        apply(name, new)
        return name, attributes

    def delete_with_ttl(physical_id, properties):
        dynamodb._ttl_settings.pop(physical_id, None)
        return delete(physical_id, properties)

    table.update(create=create_with_ttl, update=update_with_ttl, delete=delete_with_ttl)


# The gateway


@mend
def carry_out_cross_origin_rules() -> None:
    """CloudFormation stored CorsConfiguration under the template's names (AllowOrigins), but the gateway reads allowOrigins."""
    from ministack.services import apigateway

    api = handlers("AWS::ApiGatewayV2::Api")
    create, update = api["create"], api["update"]
    probe, _ = create("probe", {"CorsConfiguration": {"AllowOrigins": ["*"]}}, "probe")
    stored = apigateway._apis[probe]["corsConfiguration"]
    expect(stored == {"AllowOrigins": ["*"]}, f"CorsConfiguration is now stored as {stored}")
    api["delete"](probe, {})

    def as_the_gateway_reads_it(properties):
        cors = properties.get("CorsConfiguration")
        if not cors:
            return properties
        return {**properties, "CorsConfiguration": {key[:1].lower() + key[1:]: value for key, value in cors.items()}}

    def create_with_cors(logical_id, properties, stack_name):
        return create(logical_id, as_the_gateway_reads_it(properties), stack_name)

    def update_with_cors(physical_id, old, new, stack_name, logical_id=None):
        return update(physical_id, old, as_the_gateway_reads_it(new), stack_name, logical_id)

    api.update(create=create_with_cors, update=update_with_cors)


# Permissions (with AUTH=true)


@mend
def count_this_machine_as_secure() -> None:
    """Buckets and queues refuse what comes without TLS, and the local cloud speaks plain HTTP: with AUTH=true nothing got in."""
    from ministack.core.iam_evaluator import EvalContext

    expect("secure_transport" in EvalContext.__dataclass_fields__, "policies are evaluated without secure_transport")
    EvalContext.secure_transport = property(lambda context: True, lambda context, as_called: None)


@mend
def judge_mail_by_its_sender() -> None:
    """Sending mail was judged on the resource `*`, where AWS takes the sender's identity: with AUTH=true no exact policy matched."""
    from ministack.core import iam_actions

    resource_of = iam_actions._ses_v2_resource_arn

    def sender_or_resource(method, path, body, region, account):
        if method == "POST" and path == "/v2/email/outbound-emails":
            sender = json.loads(body or b"{}").get("FromEmailAddress") or ""
            domain = sender.rstrip("> ").rpartition("@")[2]
            return f"arn:aws:ses:{region}:{account}:identity/{domain}" if domain else "*"
        return resource_of(method, path, body, region, account)

    send = ("POST", "/v2/email/outbound-emails", b'{"FromEmailAddress": "a@b.example"}', "eu-central-1", "0")
    expect(resource_of(*send) == "*", f"sending mail is now judged on {resource_of(*send)}")
    iam_actions._ses_v2_resource_arn = sender_or_resource


@mend
def judge_task_tokens_by_their_machine() -> None:
    """SendTaskSuccess was judged on the resource `*`, where AWS takes the token's state machine: no exact policy matched."""
    from ministack.core import iam_actions
    from ministack.services import stepfunctions

    execute, call, resource_of = (
        stepfunctions._execute_task, stepfunctions._invoke_with_callback, iam_actions.extract_resource_arn)
    for function, names in ((execute, "state_def raw_input execution ctx"), (call, "resource input_data token state_def"),
                            (resource_of, "service method path headers body query_params region account_id")):
        expect(list(inspect.signature(function).parameters) == names.split(), f"{function.__name__} takes other arguments")
    machine_of_thread, machine_of_token = threading.local(), {}

    def execute_and_remember(state, data, execution, context):
        machine_of_thread.arn = context["StateMachine"]["Id"]
        return execute(state, data, execution, context)

    def call_and_remember(resource, data, token, state):
        machine_of_token[token] = machine_of_thread.arn
        try:
            return call(resource, data, token, state)
        finally:
            machine_of_token.pop(token, None)

    def machine_or_resource(service, method, path, headers, body, query_params, region, account_id):
        if service == "states" and b'"taskToken"' in (body or b""):
            return machine_of_token.get(json.loads(body)["taskToken"], "*")
        return resource_of(service, method, path, headers, body, query_params, region, account_id)

    token = ("states", "POST", "/", {}, b'{"taskToken": "x"}', {}, "eu-central-1", "0")
    expect(resource_of(*token) == "*", f"a task token is now judged on {resource_of(*token)}")
    stepfunctions._execute_task = execute_and_remember
    stepfunctions._invoke_with_callback = call_and_remember
    iam_actions.extract_resource_arn = machine_or_resource


@mend
def evaluate_time_outs() -> None:
    """A JSONata expression in TimeoutSeconds was taken as it stood, and the comparison with a number failed the execution."""
    from ministack.services import stepfunctions

    execute = stepfunctions._execute_task
    expect(callable(getattr(stepfunctions, "_jsonata_state_field", None)), "fields are evaluated otherwise")
    expect(callable(getattr(stepfunctions, "_state_query_language", None)), "the query language is found otherwise")

    def execute_with_number(state, data, execution, context):
        if "TimeoutSeconds" in state and stepfunctions._state_query_language(state, context) == "JSONata":
            seconds = stepfunctions._jsonata_state_field(state, "TimeoutSeconds", "number", data, context)
            state = {**state, "TimeoutSeconds": seconds}
        return execute(state, data, execution, context)

    stepfunctions._execute_task = execute_with_number


@mend
def fail_tasks_whose_function_fails() -> None:
    """A function that failed before it could pass its task token on left the task waiting, where AWS fails it at once."""
    from ministack.services import stepfunctions

    call, call_function, tokens = (
        stepfunctions._invoke_with_callback, stepfunctions._call_lambda, stepfunctions._task_tokens)
    expect(list(inspect.signature(call_function).parameters) == ["func_ref", "event"], "functions are called otherwise")
    token_of_thread = threading.local()

    def call_and_remember(resource, data, token, state):
        token_of_thread.token = token
        try:
            return call(resource, data, token, state)
        finally:
            token_of_thread.token = None

    def call_function_or_fail(func_ref, event):
        try:
            return call_function(func_ref, event)
        except stepfunctions._ExecutionError as error:
            waiting = tokens.get(getattr(token_of_thread, "token", None))
            if waiting:
                waiting["error"] = {"Error": error.error, "Cause": error.cause}
                waiting["event"].set()
            raise

    stepfunctions._invoke_with_callback = call_and_remember
    stepfunctions._call_lambda = call_function_or_fail


@mend
def generate_secrets_without_punctuation() -> None:
    """ExcludePunctuation of a generated secret was ignored: the keys' word held characters that no word of ours has."""
    from ministack.services.cloudformation import provisioners

    generate = provisioners._sm_secret_string
    asked = {"GenerateSecretString": {"PasswordLength": 400, "ExcludePunctuation": True}}
    expect(not generate(asked).isalnum(), "ExcludePunctuation is carried out already")

    def generate_as_asked(properties):
        wanted = properties.get("GenerateSecretString") or {}
        # CloudFormation hands booleans over as they stand in the template: true or "true".
        if str(wanted.get("ExcludePunctuation")).lower() == "true":
            excluded = wanted.get("ExcludeCharacters", "") + string.punctuation
            properties = {**properties, "GenerateSecretString": {**wanted, "ExcludeCharacters": excluded}}
        return generate(properties)

    provisioners._sm_secret_string = generate_as_asked
    expect(generate_as_asked(asked).isalnum(), "ExcludeCharacters is not carried out")


@mend
def refer_to_secrets_by_arn() -> None:
    """`Ref` of a secret gave its name, where AWS gives its ARN: with AUTH=true no policy matched, and every read was denied."""
    from ministack.services import secretsmanager

    secret = handlers("AWS::SecretsManager::Secret")
    create, update, delete = secret["create"], secret["update"], secret["delete"]
    probe, attributes = create("probe", {"Name": "probe", "SecretString": "x"}, "probe")
    expect(probe == "probe" and attributes["Arn"].startswith("arn:"), f"Ref of a secret is now {probe}")
    delete(probe, {})
    expect("probe" not in secretsmanager._secrets, "secretsmanager keeps its secrets elsewhere")

    def name_of(arn):
        return next((name for name, kept in secretsmanager._secrets.items() if kept["ARN"] == arn), arn)

    def create_by_arn(logical_id, properties, stack_name):
        _, attributes = create(logical_id, properties, stack_name)
        return attributes["Arn"], attributes

    def update_by_arn(physical_id, old, new, stack_name, logical_id=None):
        _, attributes = update(name_of(physical_id), old, new, stack_name, logical_id)
        return attributes["Arn"], attributes

    def delete_by_arn(physical_id, properties):
        return delete(name_of(physical_id), properties)

    secret.update(create=create_by_arn, update=update_by_arn, delete=delete_by_arn)


def main() -> None:
    if version("ministack") != MINISTACK_VERSION:
        sys.exit(f"launch.py: the mends are for ministack {MINISTACK_VERSION}, and this is {version('ministack')}")
    # Functions inherit this environment: without the address they would call AWS itself.
    os.environ.setdefault("AWS_ENDPOINT_URL", f"http://127.0.0.1:{os.environ.get('GATEWAY_PORT', '4566')}")
    # A laptop's cloud is nobody else's business.
    os.environ.setdefault("BIND_HOST", "127.0.0.1")
    # Else MiniStack opens port 8883, which nothing here uses.
    os.environ.setdefault("IOT_MTLS_ENABLED", "0")
    for function in MENDS:
        try:
            function()
        except (Moved, ImportError, AttributeError, KeyError, TypeError) as problem:
            sys.exit(f"launch.py: the mend {function.__name__} does not fit ministack {MINISTACK_VERSION}: {problem}")
    from ministack.app import main as serve

    serve()


if __name__ == "__main__":
    main()
