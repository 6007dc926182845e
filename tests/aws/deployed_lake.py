"""A deployed lake as a client uses it: uploads files, waits, reads the tables through the catalog."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import awswrangler
import duckdb
import pandas

from deployment import Deployment
from emulator import Emulator
from event_sources import EventSources, messages
from lake import TABLES

DELETED_MAX = 1000
PARTITIONS_DELETED_MAX = 25


class DeployedLake:
    """A deployment whose functions are running."""

    consent = "ever"
    pairs = "same-instant"

    def __init__(self, deployment: Deployment, sources: EventSources):
        self.deployment, self.sources = deployment, sources
        self.emulator: Emulator = deployment.emulator
        self.bucket: str = deployment.lake_bucket
        self.s3 = self.emulator.client("s3")
        self.glue = self.emulator.client("glue")
        self.sqs = self.emulator.client("sqs")
        awswrangler.config.s3_endpoint_url = self.emulator.url
        awswrangler.config.glue_endpoint_url = self.emulator.url
        self.session = self.emulator.session()

    def upload(self, landing: Path, *sources: str) -> int:
        """Uploads the files of a landing folder, or of some sources, one by one. Returns their number."""
        paths = [path for path in sorted(landing.glob("*/landing/**/*")) if path.is_file()]
        paths = [path for path in paths if not sources or path.relative_to(landing).parts[0] in sources]
        for path in paths:
            key = path.relative_to(landing).as_posix()
            self.s3.put_object(Bucket=self.deployment.outputs["landing_bucket"], Key=key, Body=path.read_bytes())
        return len(paths)

    @contextmanager
    def without_notifications(self) -> Iterator[None]:
        """Suspends the bucket's notifications."""
        bucket = self.deployment.outputs["landing_bucket"]
        known = self.s3.get_bucket_notification_configuration(Bucket=bucket)
        known.pop("ResponseMetadata")
        self.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
        yield
        self.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=known)
        # The new configuration sends test messages.
        self.wait()

    def wait(self, *but: str) -> None:
        """Waits until all queues, except `but`, are empty. Asserts that there are no dead letters."""
        self.sources.wait_until_empty(*but)
        assert not any(self.dead_letters().values()), f"{self.dead_letters()}: {self.sources.errors()[-5:]}"

    def dead_letters(self) -> dict[str, int]:
        """Returns the number of dead letters of each queue."""
        queues = self.deployment.queues
        return {name: messages(self.sqs, queue["dead_letter_queue_url"]) for name, queue in queues.items()}

    def versions(self, prefix: str = "") -> dict[str, str]:
        """Returns the version of every object, which each put changes, even a put of the same bytes."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix)
        versions = (version for page in pages for version in page.get("Versions", []))
        return {version["Key"]: version["VersionId"] for version in versions if version["IsLatest"]}

    def read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def receipts(self) -> list[dict]:
        """Returns the receipt of every landing file."""
        return [json.loads(self.read(key)) for key in self.versions("receipts/")]

    def partitions(self, table: str) -> dict[str, str]:
        """Returns the locations of a table's registered partitions, by their values."""
        pages = self.glue.get_paginator("get_partitions").paginate(
            DatabaseName=self.deployment.database, TableName=table
        )
        return {
            "/".join(partition["Values"]): partition["StorageDescriptor"]["Location"]
            for page in pages
            for partition in page["Partitions"]
        }

    def table(self, name: str) -> pandas.DataFrame:
        """Reads a table through the catalog. As in Athena, only registered partitions count."""
        options: dict[str, Any] = {"partition_filter": lambda _: True} if TABLES[name].partitioned else {}
        return awswrangler.s3.read_parquet_table(
            name, self.deployment.database, boto3_session=self.session, dtype_backend="pyarrow", **options
        )

    def load(self, con: duckdb.DuckDBPyConnection, schema: str) -> None:
        """Fills a new schema of `con` with the five tables."""
        con.execute(f"CREATE SCHEMA {schema}")
        for table in TABLES.values():
            rows = self.table(table.name)
            con.register("rows_read", rows)
            table.create(con, schema, "rows_read" if len(rows) else None)
            con.unregister("rows_read")


@contextmanager
def running(deployment: Deployment, instances: int = 1) -> Iterator[DeployedLake]:
    """Runs the functions of the deployment on an empty lake."""
    clear(deployment)
    sources = EventSources(deployment.emulator, deployment.mappings(), deployment.binaries, instances)
    try:
        lake = DeployedLake(deployment, sources)
        # S3 sent test messages to the topics when Terraform configured the notifications.
        lake.wait()
        yield lake
    finally:
        sources.stop()


def clear(deployment: Deployment) -> None:
    """Removes the objects, partitions and messages of earlier tests."""
    emulator = deployment.emulator
    s3, glue, sqs = (emulator.client(service) for service in ("s3", "glue", "sqs"))
    # Lists all versions before it deletes any: moto needs the last version of a page to begin the next one.
    for some in batches(all_versions(s3, deployment.lake_bucket), DELETED_MAX):
        s3.delete_objects(Bucket=deployment.lake_bucket, Delete={"Objects": some, "Quiet": True})
    assert all_versions(s3, deployment.lake_bucket) == []
    for name in (table.name for table in TABLES.values() if table.partitioned):
        where = {"DatabaseName": deployment.database, "TableName": name}
        pages = glue.get_paginator("get_partitions").paginate(**where)
        values = [{"Values": partition["Values"]} for page in pages for partition in page["Partitions"]]
        for some in batches(values, PARTITIONS_DELETED_MAX):
            glue.batch_delete_partition(**where, PartitionsToDelete=some)
    for queue in deployment.queues.values():
        for url in (queue["url"], queue["dead_letter_queue_url"]):
            take_all(sqs, url)


def all_versions(s3: Any, bucket: str) -> list[dict]:
    """Returns every version of every object of a bucket, in the form of DeleteObjects."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    found = (item for page in pages for kind in ("Versions", "DeleteMarkers") for item in page.get(kind, []))
    return [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]


def take_all(sqs: Any, queue_url: str) -> list[str]:
    """Removes all messages of a queue that has no other reader. Returns their bodies."""
    bodies: list[str] = []
    while received := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        for message in received:
            bodies.append(message["Body"])
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def batches(items: list, size: int) -> Iterable[list]:
    return (items[start : start + size] for start in range(0, len(items), size))
