"""A message that cannot be handled goes to the dead-letter queue alone; a redrive delivers it again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployed_lake import DeployedLake, running, take_all
from deployment import Deployment
from event_sources import event_of
from landing import BEGIN, Landing, customer, motion
from up import until

GARBAGE = "{not json"
QUEUE = "customer_trusted-landing"


@pytest.fixture
def lake(deployment: Deployment) -> Iterator[DeployedLake]:
    with running(deployment) as lake:
        yield lake


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    """Two customer files and a phone's readings."""
    landing = Landing(tmp_path)
    for person in (1, 2):
        landing.customers(f"customers-{person}.json", customer(person, BEGIN, BEGIN))
    landing.motions("phone-1.json", motion(1, BEGIN))
    return landing


def receive_count_max(lake: DeployedLake) -> int:
    url = lake.deployment.queues[QUEUE]["url"]
    attributes = lake.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    return json.loads(attributes["RedrivePolicy"])["maxReceiveCount"]


def wait_for_dead_letters(lake: DeployedLake, name: str, count: int) -> None:
    lake.sources.wait_until_empty()
    until(lambda: lake.dead_letters()[name] == count, lambda: f"{count} dead letters: {lake.dead_letters()}")
    assert sum(lake.dead_letters().values()) == count


def redrive(lake: DeployedLake, name: str) -> int:
    """Puts the dead letters back into their queue, like SQS's StartMessageMoveTask, which moto lacks."""
    queue = lake.deployment.queues[name]
    bodies = take_all(lake.sqs, queue["dead_letter_queue_url"])
    for body in bodies:
        lake.sqs.send_message(QueueUrl=queue["url"], MessageBody=body)
    return len(bodies)


def test_only_the_bad_message_of_a_batch_becomes_a_dead_letter(lake: DeployedLake, landing: Landing) -> None:
    queue_url = lake.deployment.queues[QUEUE]["url"]
    # Uploads without events. The test sends the events in one batch with the bad message.
    with lake.without_notifications():
        lake.upload(landing.folder, "customer")
    bodies = [
        event_of((lake.bucket, "customer/landing/customers-1.json")),
        GARBAGE,
        event_of((lake.bucket, "customer/landing/customers-2.json")),
    ]
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
    sent = {
        one["Id"]: one["MessageId"]
        for one in lake.sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)["Successful"]
    }
    wait_for_dead_letters(lake, QUEUE, 1)
    assert len(lake.table("customer_trusted")) == 2
    batches = [one for one in lake.sources.handled() if sent["1"] in ids(one.event)]
    assert [ids(batches[0].event)] == [[sent["0"], sent["1"], sent["2"]]]
    # SQS delivered only the bad message again, until it became a dead letter.
    assert [ids(one.event) for one in batches[1:]] == [[sent["1"]]] * (receive_count_max(lake) - 1)
    assert {json.dumps(one.outcome.answer) for one in batches} == {
        json.dumps({"batchItemFailures": [{"itemIdentifier": sent["1"]}]})
    }
    assert take_all(lake.sqs, lake.deployment.queues[QUEUE]["dead_letter_queue_url"]) == [GARBAGE]


def test_bad_message_does_not_block_others(lake: DeployedLake, landing: Landing) -> None:
    """Files that arrive between its attempts reach the tables."""
    lake.sqs.send_message(QueueUrl=lake.deployment.queues[QUEUE]["url"], MessageBody=GARBAGE)
    lake.upload(landing.folder)
    wait_for_dead_letters(lake, QUEUE, 1)
    assert len(lake.table("accelerometer_trusted")) == 1


def test_redrive_after_the_cause_is_fixed(lake: DeployedLake, landing: Landing) -> None:
    """The functions refuse a lake that was made with other settings. A redrive succeeds when the settings agree."""
    config = {
        "format": 5,
        "customer_shards": 3,
        "consent_policy": "ever",
        "pairs": "same-instant",
        "slices_per_hour": 1,
        "hash_key": "0" * 32,
    }
    lake.s3.put_object(Bucket=lake.bucket, Key="_state/lake.json", Body=json.dumps(config), IfNoneMatch="*")
    before = lake.versions()
    uploads = lake.upload(landing.folder)
    lake.sources.wait_until_empty()
    failed = {name: count for name, count in lake.dead_letters().items() if count}
    assert failed == {"customer_trusted-landing": 2, "accelerometer_trusted-landing": 1}
    assert sum(failed.values()) == uploads
    assert any("CUSTOMER_SHARDS" in line for line in lake.sources.errors())
    assert {key for key in lake.versions() if "/landing/" not in key} == set(before)

    lake.s3.delete_object(Bucket=lake.bucket, Key="_state/lake.json")
    for name, count in failed.items():
        assert redrive(lake, name) == count
    lake.wait()
    assert len(lake.table("customer_trusted")) == 2
    assert len(lake.table("accelerometer_trusted")) == 1
    assert len(lake.table("customer_curated")) == 1


def ids(event: dict) -> list[str]:
    return [record["messageId"] for record in event["Records"]]
