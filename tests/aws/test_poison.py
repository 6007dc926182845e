"""Messages that cannot be handled: they end in the dead-letter queue, alone, and come back from there when they can."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployed_lake import DeployedLake, running, take_all
from deployment import Deployment
from event_sources import event_of, wait_until
from landing import BEGIN, Landing, customer, motion

GARBAGE = "{not json"
FUNCTION = "customer_trusted"


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
    url = lake.deployment.function(FUNCTION)["queue_url"]
    attributes = lake.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    return json.loads(attributes["RedrivePolicy"])["maxReceiveCount"]


def wait_for_dead_letters(lake: DeployedLake, name: str, count: int) -> None:
    lake.sources.wait_until_empty()
    wait_until(lambda: lake.dead_letters()[name] == count, 30, lambda: f"dead letters: {lake.dead_letters()}")
    assert sum(lake.dead_letters().values()) == count


def redrive(lake: DeployedLake, name: str) -> int:
    """Puts the dead letters back into their queue, as SQS's StartMessageMoveTask does, which moto does not have."""
    function = lake.deployment.function(name)
    bodies = take_all(lake.sqs, function["dead_letter_queue_url"])
    for body in bodies:
        lake.sqs.send_message(QueueUrl=function["queue_url"], MessageBody=body)
    return len(bodies)


def test_poisoned_message_is_given_up_and_the_others_of_its_batch_are_not(lake: DeployedLake, landing: Landing) -> None:
    queue_url = lake.deployment.function(FUNCTION)["queue_url"]
    # Objects without their events, which come in one batch with the poison.
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
    wait_for_dead_letters(lake, FUNCTION, 1)
    assert len(lake.table("customer_trusted")) == 2
    batches = [one for one in lake.sources.handled() if sent["1"] in ids(one.event)]
    assert [ids(batches[0].event)] == [[sent["0"], sent["1"], sent["2"]]]
    # It alone came again, until it was given up.
    assert [ids(one.event) for one in batches[1:]] == [[sent["1"]]] * (receive_count_max(lake) - 1)
    assert {json.dumps(one.outcome.answer) for one in batches} == {
        json.dumps({"batchItemFailures": [{"itemIdentifier": sent["1"]}]})
    }
    assert take_all(lake.sqs, lake.deployment.function(FUNCTION)["dead_letter_queue_url"]) == [GARBAGE]


def test_a_bad_message_stays_out_of_the_others_way(lake: DeployedLake, landing: Landing) -> None:
    """What lands while it is tried again and again is derived all the same."""
    lake.sqs.send_message(QueueUrl=lake.deployment.function(FUNCTION)["queue_url"], MessageBody=GARBAGE)
    lake.upload(landing.folder)
    wait_for_dead_letters(lake, FUNCTION, 1)
    assert len(lake.table("accelerometer_trusted")) == 1


def test_redrive_after_the_cause_is_gone(lake: DeployedLake, landing: Landing) -> None:
    """A lake that was made with other settings: every function refuses to touch it, until somebody has looked."""
    charter = {"format": 4, "customer_shards": 3, "consent_policy": "ever"}
    lake.s3.put_object(Bucket=lake.bucket, Key="_state/lake.json", Body=json.dumps(charter), IfNoneMatch="*")
    before = lake.versions()
    landed = lake.upload(landing.folder)
    lake.sources.wait_until_empty()
    given_up = {name: count for name, count in lake.dead_letters().items() if count}
    assert given_up == {"customer_trusted": 2, "accelerometer_trusted": 1}
    assert sum(given_up.values()) == landed
    assert any("customer_shards" in line or "shards" in line for line in lake.sources.errors())
    assert {key for key in lake.versions() if "/landing/" not in key} == set(before)

    lake.s3.delete_object(Bucket=lake.bucket, Key="_state/lake.json")
    for name, count in given_up.items():
        assert redrive(lake, name) == count
    lake.wait()
    assert len(lake.table("customer_trusted")) == 2
    assert len(lake.table("accelerometer_trusted")) == 1
    assert len(lake.table("customer_curated")) == 1


def ids(event: dict) -> list[str]:
    return [record["messageId"] for record in event["Records"]]
