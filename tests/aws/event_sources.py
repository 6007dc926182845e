"""Does what Lambda does with a function's event sources: polls the queue of each, invokes the function, deletes handled
messages."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator import REGION, Credentials, Emulator
from runtime_api import Instance, Outcome
from up import until

# SQS's limit for one request.
RECEIVED_MAX = 10
# The pause before an empty queue is polled again while no function does anything.
PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Mapping:
    """An event source mapping, with settings of its function. `name` is the function's name in the code."""

    name: str
    function_name: str
    function_arn: str
    role_arn: str
    environment: dict[str, str]
    timeout_seconds: int
    memory_mb: int
    queue_url: str
    queue_arn: str
    batch_size: int
    concurrency_max: int
    reports_failures: bool


@dataclass
class Activity:
    """Counts the events of all event sources, so that a waiting source notices new ones."""

    count: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def happened(self) -> None:
        with self.changed:
            self.count += 1
            self.changed.notify_all()

    def pause(self, seen: int) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.count != seen, timeout=PAUSE_SECONDS)


@dataclass(frozen=True)
class Handled:
    """A batch of events, and the outcome of its invocation."""

    function: str
    queue_url: str
    event: dict
    outcome: Outcome


class EventSource:
    """Invokes one function with the messages of its queue, in several concurrent instances."""

    def __init__(self, emulator: Emulator, mapping: Mapping, binary: Path, instances: int, activity: Activity):
        assert instances <= mapping.concurrency_max, (
            f"{mapping.function_name} may have {mapping.concurrency_max} instances"
        )
        self.emulator, self.mapping, self.binary, self.activity = emulator, mapping, binary, activity
        # Lambda uses the function's role to poll and to run the function.
        self.credentials: Credentials = emulator.assume(mapping.role_arn)
        self.sqs = emulator.client("sqs", self.credentials)
        self.handled: list[Handled] = []
        self.instances: list[Instance] = []
        self.stopping = threading.Event()
        self.failed: BaseException | None = None
        self.polling = threading.Lock()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(instances)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=self.mapping.timeout_seconds + 10)
        if self.failed:
            raise self.failed

    @contextmanager
    def disable(self) -> Iterator[None]:
        """Stops polling, like an event source mapping that is disabled: messages wait in the queue."""
        with self.polling:
            yield

    def _run(self) -> None:
        instance = self._start()
        try:
            while not self.stopping.is_set():
                if not instance.alive:
                    instance.stop()
                    instance = self._start()
                if batch := self._next_batch():
                    self._handle(instance, batch)
        except BaseException as error:
            self.failed = error
            raise
        finally:
            instance.stop()

    def _start(self) -> Instance:
        mapping = self.mapping
        lambda_variables = {
            "AWS_LAMBDA_FUNCTION_NAME": mapping.function_name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(mapping.memory_mb),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{mapping.function_name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "test",
            "AWS_REGION": REGION,
        }
        # The function does not see the environment of the tests.
        environment = self.emulator.environment(self.credentials) | lambda_variables | mapping.environment
        instance = Instance(self.binary, environment, mapping.function_arn)
        self.instances.append(instance)
        return instance

    def _next_batch(self) -> list[dict]:
        """Returns the next messages, or none if the queue is empty. Only one instance polls at a time."""
        with self.polling:
            seen = self.activity.count
            batch = list(self._receive())
            if batch:
                self.activity.happened()
            else:
                self.activity.pause(seen)
            return batch

    def _receive(self) -> Iterator[dict]:
        left = self.mapping.batch_size
        while left > 0:
            received = self.sqs.receive_message(
                QueueUrl=self.mapping.queue_url,
                MaxNumberOfMessages=min(left, RECEIVED_MAX),
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            messages = received.get("Messages", [])
            yield from messages
            if not messages:
                return
            left -= len(messages)

    def _handle(self, instance: Instance, batch: Sequence[dict]) -> None:
        event = {"Records": [self._record(message) for message in batch]}
        outcome = instance.invoke(event, self.mapping.timeout_seconds)
        failed = self._failures(batch, outcome)
        for message in batch:
            handle = {"QueueUrl": self.mapping.queue_url, "ReceiptHandle": message["ReceiptHandle"]}
            if message["MessageId"] in failed:
                # AWS delivers the message again after its visibility time-out, which takes minutes. This does it at
                # once.
                self.sqs.change_message_visibility(**handle, VisibilityTimeout=0)
            else:
                self.sqs.delete_message(**handle)
        self.handled.append(Handled(self.mapping.function_name, self.mapping.queue_url, event, outcome))
        self.activity.happened()

    def _failures(self, batch: Sequence[dict], outcome: Outcome) -> set[str]:
        """Returns the ids of failed messages. If the answer names an id outside the batch, all have failed."""
        everything = {message["MessageId"] for message in batch}
        if outcome.error is not None:
            return everything
        if not self.mapping.reports_failures:
            return set()
        named = {failure["itemIdentifier"] for failure in (outcome.answer or {}).get("batchItemFailures", [])}
        return named if named <= everything else everything

    def _record(self, message: dict) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self.mapping.queue_arn,
            "awsRegion": REGION,
        }


class EventSources:
    """The event sources of all functions, by the names of their queues."""

    def __init__(self, emulator: Emulator, mappings: dict[str, Mapping], binaries: dict[str, Path], instances: int = 1):
        self.activity = Activity()
        self.sqs = emulator.client("sqs")
        self.sources = {
            name: EventSource(emulator, mapping, binaries[mapping.name], instances, self.activity)
            for name, mapping in mappings.items()
        }

    def stop(self) -> None:
        for source in self.sources.values():
            source.stopping.set()
        for source in self.sources.values():
            source.stop()

    def waiting(self) -> dict[str, int]:
        """Returns the number of messages in each queue, with those that a function is handling."""
        return {name: messages(self.sqs, source.mapping.queue_url) for name, source in self.sources.items()}

    def wait_until_empty(self, *but: str) -> None:
        """Waits until no message is left, except in the queues `but`. A message leaves its queue only after its function has returned, and by then
        the events of the function's writes are in other queues. So no message is left if all queues are empty and no
        source was active in between."""

        def empty() -> bool:
            if failed := [source.failed for source in self.sources.values() if source.failed]:
                raise failed[0]
            before = self.activity.count
            waiting = [count for name, count in self.waiting().items() if name not in but]
            return not any(waiting) and self.activity.count == before

        until(empty, lambda: f"no message to be left: {self.waiting()}; {self.errors()[-5:]}")

    def handled(self) -> list[Handled]:
        return [handled for source in self.sources.values() for handled in source.handled]

    def errors(self) -> list[str]:
        """Returns the error lines of the functions' logs."""
        lines = [line for source in self.sources.values() for instance in source.instances for line in instance.lines]
        return [line for line in lines if '"level":"ERROR"' in line or not line.startswith("{")]

    def logged(self) -> dict[str, list[dict]]:
        """Returns the log lines of each function's instances, parsed as JSON."""
        lines: dict[str, list[dict]] = {}
        for source in self.sources.values():
            for instance in source.instances:
                lines.setdefault(source.mapping.name, []).extend(instance.logged())
        return lines


def messages(sqs: Any, queue_url: str) -> int:
    """Returns the number of messages in a queue, with those that are being handled."""
    names = [f"ApproximateNumberOfMessages{what}" for what in ("", "NotVisible", "Delayed")]
    attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def event_of(*objects: tuple[str, str]) -> str:
    """Returns the body of S3's message for these objects, each a bucket and an encoded key."""
    records = [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": REGION,
            "eventTime": "2024-05-13T00:00:00.000Z",
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "EXAMPLE"},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {"x-amz-request-id": "EXAMPLE", "x-amz-id-2": "EXAMPLE"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "test",
                "bucket": {
                    "name": bucket,
                    "ownerIdentity": {"principalId": "EXAMPLE"},
                    "arn": f"arn:aws:s3:::{bucket}",
                },
                "object": {"key": key, "size": 1, "eTag": "0" * 32, "sequencer": "0"},
            },
        }
        for bucket, key in objects
    ]
    return json.dumps({"Records": records})
