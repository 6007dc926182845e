"""What moto needs in order to stand for AWS here. Each patch says what AWS does, what moto does instead, and how that
was seen. The version that this was written for is in requirements.txt."""

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

# moto's state is plain lists and dictionaries, changed by every request's thread.
STATE = threading.Lock()


def apply() -> None:
    """Applies all of them; once, before the server starts."""
    keep_redrive_allow_policies()
    keep_policies_of_queues()
    give_redrive_policies_back_as_they_are()
    delete_named_queries()
    keep_logging_configurations()
    tell_all_of_an_event()
    handle_one_request_at_a_time()


def keep_redrive_allow_policies() -> None:
    """AWS: a dead-letter queue says in `RedriveAllowPolicy` whose it is, and gives it back among its attributes.
    moto: knows no such attribute. Seen: `terraform apply` waits for it to be there until it gives up."""
    Queue.BASE_ATTRIBUTES = [*Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]
    Queue.redrive_allow_policy = None
    known = Queue.attributes

    def attributes(self: Queue) -> dict[str, Any]:
        return {name: value for name, value in known.fget(self).items() if name != "RedriveAllowPolicy" or value}

    Queue.attributes = property(attributes)


def keep_policies_of_queues() -> None:
    """AWS: SetQueueAttributes leaves alone what it does not name.
    moto: drops the queue's policy, if that is not named. Read in its source."""
    set_attributes = Queue._set_attributes

    def keep(self: Queue, attributes: dict[str, Any], now: float | None = None) -> None:
        if "Policy" not in attributes:
            attributes = attributes | {"Policy": self.policy}
        set_attributes(self, attributes, now)

    Queue._set_attributes = keep


def give_redrive_policies_back_as_they_are() -> None:
    """AWS: a queue's redrive policy comes back without white space, as Terraform puts it.
    moto: with some. Seen: the second plan changes each queue by white space."""
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
    """AWS: a function's `LoggingConfig` is kept and given back. moto: drops it. Seen: the second plan has changes."""
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


def tell_all_of_an_event() -> None:
    """AWS: a notification says who did it from where, names the bucket's owner, and has a sequencer.
    moto: leaves those out. Seen: a parser that wanted a whole S3 record refused it."""
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
    """AWS: each request takes effect as a whole. moto: looks and then writes, without a lock. Read in its source:
    PutObject checks its condition first, and DeleteMessage puts back a list that another thread may have added to."""
    handle: Callable[..., Any] = DomainDispatcherApplication.__call__

    def one_at_a_time(self: Any, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        with STATE:
            return list(handle(self, environ, start_response))

    DomainDispatcherApplication.__call__ = one_at_a_time
    receive = SQSBackend.receive_message

    def receive_now(self: SQSBackend, queue_name: str, count: int, _: int, *rest: Any, **named: Any) -> list[Any]:
        # A long poll would let all others wait.
        return receive(self, queue_name, count, 0, *rest, **named)

    SQSBackend.receive_message = receive_now


def parsed(policy: str | bytes | dict | None) -> list[dict]:
    """A policy as moto keeps it, or none."""
    if not policy:
        return []
    return [policy if isinstance(policy, dict) else json.loads(policy)]
