"""Work items of a change of consent. Each item's event reaches its function, which deletes the item when its cells are
done. If the event is lost, a conditional put of the same bytes sends it again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from botocore.exceptions import ClientError

from deployed_lake import DeployedLake, running
from deployment import Deployment
from landing import BEGIN, HOUR, Landing, customer, email, motion, step

WORK = "_state/work/"
TABLES_OF_WORK = ("accelerometer_trusted", "step_trainer_trusted")
PEOPLE = (1, 2)


@pytest.fixture
def lake(deployment: Deployment, tmp_path: Path) -> Iterator[DeployedLake]:
    """A lake with readings of two customers in one hour."""
    landing = Landing(tmp_path / "before")
    landing.customers("customers.json", *(customer(person, BEGIN, BEGIN) for person in PEOPLE))
    landing.motions("phones.json", *(motion(person, BEGIN) for person in PEOPLE))
    landing.steps("devices.json", *(step(person, BEGIN) for person in PEOPLE))
    with running(deployment) as lake:
        for source in ("customer", "accelerometer", "step_trainer"):
            lake.upload(landing.folder, source)
            lake.wait()
        for name in TABLES_OF_WORK:
            assert users(lake, name) == {email(1), email(2)}, name
        yield lake


@pytest.fixture
def withdrawal(tmp_path: Path) -> Landing:
    """The first customer withdraws."""
    landing = Landing(tmp_path / "after")
    landing.customers("withdrawal.json", customer(1, BEGIN + HOUR))
    return landing


def users(lake: DeployedLake, table: str) -> set[str]:
    return set(lake.table(table)["user"])


def handled_items(lake: DeployedLake, name: str) -> set[str]:
    """Returns the work items of a function whose events it handled."""
    function_name = lake.deployment.function(name)["function_name"]
    batches = [one.event["Records"] for one in lake.sources.handled() if one.function == function_name]
    events = [json.loads(message["body"]) for batch in batches for message in batch]
    # S3's test messages have no records.
    keys = [unquote_plus(record["s3"]["object"]["key"]) for event in events for record in event.get("Records", [])]
    return {key for key in keys if key.startswith(WORK)}


@contextmanager
def without_events_of_work(lake: DeployedLake) -> Iterator[None]:
    """Loses the events of work items."""
    known = lake.s3.get_bucket_notification_configuration(Bucket=lake.bucket)
    known.pop("ResponseMetadata")
    topics = [topic for topic in known["TopicConfigurations"] if not topic["Id"].startswith("state-work-")]
    assert len(topics) == len(known["TopicConfigurations"]) - len(TABLES_OF_WORK)
    others = known | {"TopicConfigurations": topics}
    lake.s3.put_bucket_notification_configuration(Bucket=lake.bucket, NotificationConfiguration=others)
    yield
    lake.s3.put_bucket_notification_configuration(Bucket=lake.bucket, NotificationConfiguration=known)
    # The new configuration sends test messages.
    lake.wait()


def test_withdrawal_is_done_when_its_items_are_gone(lake: DeployedLake, withdrawal: Landing) -> None:
    before = {name: handled_items(lake, name) for name in TABLES_OF_WORK}
    lake.upload(withdrawal.folder)
    lake.wait()
    assert not lake.versions(WORK)
    for name in TABLES_OF_WORK:
        items = handled_items(lake, name) - before[name]
        assert len(items) == 1 and all(item.startswith(f"{WORK}{name}/") for item in items), (name, items)
        assert users(lake, name) == {email(2)}, name
    assert not any(one.outcome.error for one in lake.sources.handled())
    assert not any("AccessDenied" in line for line in lake.sources.errors())


def test_item_whose_event_is_lost_stays_until_it_is_put_again(lake: DeployedLake, withdrawal: Landing) -> None:
    with without_events_of_work(lake):
        lake.upload(withdrawal.folder)
        lake.wait()
    items = lake.versions(WORK)
    assert sorted(item.removeprefix(WORK).split("/")[0] for item in items) == sorted(TABLES_OF_WORK)
    for name in TABLES_OF_WORK:
        assert users(lake, name) == {email(1), email(2)}, name

    # What infra/README.md tells operators to do.
    etags = {}
    for item in items:
        found = lake.s3.get_object(Bucket=lake.bucket, Key=item)
        body, etags[item] = found["Body"].read(), found["ETag"]
        # The bucket's policy refuses copies.
        with pytest.raises(ClientError, match="AccessDenied"):
            source = {"Bucket": lake.bucket, "Key": item}
            lake.s3.copy_object(Bucket=lake.bucket, Key=item, CopySource=source, MetadataDirective="REPLACE")
        lake.s3.put_object(Bucket=lake.bucket, Key=item, Body=body, IfMatch=etags[item])
    lake.wait()
    assert not lake.versions(WORK)
    for name in TABLES_OF_WORK:
        assert users(lake, name) == {email(2)}, name

    # Its condition does not make an item again that is done meanwhile.
    for item, etag in etags.items():
        with pytest.raises(ClientError):
            lake.s3.put_object(Bucket=lake.bucket, Key=item, Body=b"", IfMatch=etag)
    assert not lake.versions(WORK)
