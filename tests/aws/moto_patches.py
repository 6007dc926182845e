"""Patches moto where the tests need the behavior of AWS. Each patch says what AWS does, what moto does, and how the
difference showed. requirements.txt has moto's version."""

import itertools
import json
import threading
from collections.abc import Callable
from typing import Any

from moto.athena.responses import AthenaResponse
from moto.awslambda.models import LambdaFunction
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.s3 import notifications
from moto.sqs.models import Queue, SQSBackend

# The threads of all requests change moto's state, which is plain lists and dictionaries.
STATE = threading.Lock()


def apply() -> None:
    """Applies all patches. Call it once, before the server starts."""
    keep_redrive_allow_policies()
    keep_policies_of_queues()
    return_redrive_policies_without_spaces()
    delete_named_queries()
    keep_logging_configurations()
    complete_events()
    handle_one_request_at_a_time()


def keep_redrive_allow_policies() -> None:
    """AWS: a dead-letter queue has the attribute `RedriveAllowPolicy`, which names its source queues.
    moto: does not have this attribute. Seen: `terraform apply` waits for it until its time-out."""
    Queue.BASE_ATTRIBUTES = [*Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]
    Queue.redrive_allow_policy = None
    known = Queue.attributes

    def attributes(self: Queue) -> dict[str, Any]:
        return {name: value for name, value in known.fget(self).items() if name != "RedriveAllowPolicy" or value}

    Queue.attributes = property(attributes)


def keep_policies_of_queues() -> None:
    """AWS: SetQueueAttributes keeps attributes that the request does not name.
    moto: drops the queue's policy if the request does not name it. Read in its source."""
    set_attributes = Queue._set_attributes

    def keep(self: Queue, attributes: dict[str, Any], now: float | None = None) -> None:
        if "Policy" not in attributes:
            attributes = attributes | {"Policy": self.policy}
        set_attributes(self, attributes, now)

    Queue._set_attributes = keep


def return_redrive_policies_without_spaces() -> None:
    """AWS: returns a queue's redrive policy as Terraform puts it, without spaces.
    moto: returns it with spaces. Seen: the second plan changes each queue by spaces."""
    known = Queue.attributes

    def attributes(self: Queue) -> dict[str, Any]:
        found = known.fget(self)
        if policy := found.get("RedrivePolicy"):
            found["RedrivePolicy"] = json.dumps(json.loads(policy), separators=(",", ":"))
        return found

    Queue.attributes = property(attributes)


def delete_named_queries() -> None:
    """AWS: DeleteNamedQuery. moto: does not implement it. Seen: a changed query, or `terraform destroy`, fails."""

    def delete_named_query(self: AthenaResponse) -> str:
        del self.athena_backend.named_queries[self._get_param("NamedQueryId")]
        return "{}"

    AthenaResponse.delete_named_query = delete_named_query


def keep_logging_configurations() -> None:
    """AWS: keeps and returns a function's `LoggingConfig`. moto: drops it. Seen: the second plan has changes."""
    init, get, update = LambdaFunction.__init__, LambdaFunction.get_configuration, LambdaFunction.update_configuration

    def remember(self: LambdaFunction, spec: dict[str, Any]) -> None:
        if "LoggingConfig" in spec:
            self.logging_config = spec["LoggingConfig"]

    def created(self: LambdaFunction, account_id: str, spec: dict[str, Any], *rest: Any, **named: Any) -> None:
        remember(self, spec)
        init(self, account_id, spec, *rest, **named)

    def configuration(self: LambdaFunction, *rest: Any, **named: Any) -> dict[str, Any]:
        default = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{self.function_name}"}
        return get(self, *rest, **named) | {"LoggingConfig": getattr(self, "logging_config", default)}

    def updated(self: LambdaFunction, config_updates: dict[str, Any]) -> dict[str, Any]:
        remember(self, config_updates)
        return update(self, config_updates)

    LambdaFunction.__init__ = created
    LambdaFunction.get_configuration = configuration
    LambdaFunction.update_configuration = updated


def complete_events() -> None:
    """AWS: a notification has the caller, its address, the bucket's owner and a sequencer.
    moto: leaves them out. Seen: a parser that expects a complete S3 record refuses it."""
    known = notifications._get_s3_event
    numbers = itertools.count(1)

    def complete(*arguments: Any) -> dict[str, list[dict[str, Any]]]:
        event = known(*arguments)
        for record in event["Records"]:
            record["userIdentity"] = {"principalId": "EXAMPLE"}
            record["requestParameters"] = {"sourceIPAddress": "127.0.0.1"}
            record["responseElements"] = {"x-amz-request-id": "EXAMPLE", "x-amz-id-2": "EXAMPLE"}
            record["s3"]["bucket"]["ownerIdentity"] = {"principalId": "EXAMPLE"}
            record["s3"]["object"]["sequencer"] = f"{next(numbers):018X}"
        return event

    notifications._get_s3_event = complete


def handle_one_request_at_a_time() -> None:
    """AWS: each request is atomic. moto: reads and then writes, without a lock. Read in its source: PutObject checks
    its condition before it writes, and DeleteMessage replaces a list to which another thread may have added."""
    handle: Callable[..., Any] = DomainDispatcherApplication.__call__

    def one_at_a_time(self: Any, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        with STATE:
            return list(handle(self, environ, start_response))

    DomainDispatcherApplication.__call__ = one_at_a_time
    receive = SQSBackend.receive_message

    def receive_now(self: SQSBackend, queue_name: str, count: int, _: int, *rest: Any, **named: Any) -> list[Any]:
        # A long poll would block all other requests.
        return receive(self, queue_name, count, 0, *rest, **named)

    SQSBackend.receive_message = receive_now


def parsed(policy: str | bytes | dict | None) -> list[dict]:
    """Returns a list with the parsed policy that moto stores, or an empty list."""
    if not policy:
        return []
    return [policy if isinstance(policy, dict) else json.loads(policy)]
