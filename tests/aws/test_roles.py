"""Permissions of each function's role, and requests that every principal is denied. The tests send requests to S3,
Glue, SQS and CloudWatch Logs with the role's credentials."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import FUNCTIONS
from deployment import SOURCE, Deployment
from emulator import REGION, ROOT, Credentials
from lake import TABLES
from policies import Principal, Request, decide

TOPOLOGY = json.loads((SOURCE / "topology.json").read_text())
LANDING = sorted(trigger["prefix"] for trigger in TOPOLOGY["triggers"] if trigger["landing"])
DERIVED: list[str] = TOPOLOGY["derived"]
OUTSIDE = [
    "_state/",
    "_state/lake.json.bak",
    "_state/work/",
    "_state/work/customer_trusted/",
    "customer/",
    "receipts/",
    "elsewhere/",
    "customer/trusted-not/",
]
DENIED = {"AccessDenied", "AccessDeniedException", "403"}
LISTED_MAX = 1000


def triggers_of_queues() -> dict[str, set[str]]:
    """Returns the triggers of each queue, which are of one function and of one kind."""
    triggers: dict[str, set[str]] = {}
    for trigger in TOPOLOGY["triggers"]:
        for function in trigger["functions"]:
            kind = "landing" if trigger["landing"] else "changes"
            triggers.setdefault(f"{function}-{kind}", set()).add(trigger["name"])
    return triggers


QUEUES = triggers_of_queues()


@dataclass(frozen=True)
class Actor:
    """A function's assumed role, and the function's entry in the topology."""

    name: str
    access: dict[str, Any]
    deployment: Deployment
    credentials: Credentials

    def client(self, service: str) -> Any:
        return self.deployment.emulator.client(service, self.credentials)

    def may(self, what: str, key: str) -> bool:
        return any(key.startswith(name) if name.endswith("/") else key == name for name in self.access[what])


@pytest.fixture(scope="module", params=FUNCTIONS)
def actor(request: pytest.FixtureRequest, deployment: Deployment) -> Actor:
    name = request.param
    credentials = deployment.emulator.assume(deployment.function(name)["role_arn"])
    return Actor(name, TOPOLOGY["functions"][name], deployment, credentials)


@pytest.fixture(scope="module")
def uploader(deployment: Deployment) -> Iterator[Credentials]:
    """A user whose own policies allow everything in the lake's bucket."""
    iam = deployment.emulator.client("iam")
    bucket = f"arn:aws:s3:::{deployment.lake_bucket}"
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": [bucket, f"{bucket}/*"]}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.create_user(UserName="uploader")
    iam.put_user_policy(UserName="uploader", PolicyName="all", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="uploader")["AccessKey"]
    yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    iam.delete_access_key(UserName="uploader", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="uploader", PolicyName="all")
    iam.delete_user(UserName="uploader")


@pytest.fixture(scope="module", autouse=True)
def objects(deployment: Deployment) -> None:
    """Puts one object below every prefix, for the tests that read."""
    s3 = deployment.emulator.client("s3")
    for name in [*DERIVED, *LANDING, *OUTSIDE]:
        condition = {} if name in LANDING else {"IfNoneMatch": "*"}
        try:
            s3.put_object(Bucket=deployment.lake_bucket, Key=key_of(name), Body=b"", **condition)
        except ClientError as error:
            assert code(error) == "PreconditionFailed", error


def key_of(name: str) -> str:
    """Returns a key below a prefix, or the key itself."""
    return f"{name}roles" if name.endswith("/") else name


def code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def allowed(call: Callable[..., Any], **arguments: Any) -> bool:
    """Returns whether AWS does not deny a request. It may fail later, since AWS checks permissions first."""
    try:
        call(**arguments)
    except ClientError as error:
        return code(error) not in DENIED
    return True


def test_function_reads_only_its_prefixes(actor: Actor) -> None:
    s3, bucket = actor.client("s3"), actor.deployment.lake_bucket
    for name in [*DERIVED, *LANDING, *OUTSIDE]:
        expected = actor.may("reads", key_of(name)) or actor.may("landing", key_of(name))
        for call in (s3.get_object, s3.head_object):
            assert allowed(call, Bucket=bucket, Key=key_of(name)) == expected, name


def test_missing_object_is_not_found_and_not_forbidden(actor: Actor) -> None:
    """Functions often read missing objects, and S3 answers 404 only to callers that may list."""
    s3, bucket = actor.client("s3"), actor.deployment.lake_bucket
    for name in actor.access["reads"] + actor.access["landing"]:
        if name.endswith("/"):
            with pytest.raises(ClientError) as raised:
                s3.get_object(Bucket=bucket, Key=f"{name}none")
            assert code(raised.value) == "NoSuchKey", name


def test_function_writes_only_its_prefixes(actor: Actor) -> None:
    s3, bucket = actor.client("s3"), actor.deployment.lake_bucket
    for name in [*DERIVED, *LANDING, *OUTSIDE]:
        expected = actor.may("writes", key_of(name))
        put = {"Bucket": bucket, "Key": key_of(name), "Body": b"", "IfMatch": '"0"'}
        assert allowed(s3.put_object, **put) == expected, name


def test_function_deletes_only_its_work_items(actor: Actor) -> None:
    s3, bucket = actor.client("s3"), actor.deployment.lake_bucket
    for name in [*DERIVED, *LANDING, *OUTSIDE]:
        # The other tests still need the object of this prefix.
        key = f"{name}none" if name.endswith("/") else name
        own = actor.may("deletes", key)
        assert not own or name == f"_state/work/{actor.name}/", name
        assert allowed(s3.delete_object, Bucket=bucket, Key=key) == own, name
        # DeleteObjects answers 200 with an error for each denied key.
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
        assert [error["Code"] for error in answer.get("Errors", [])] == ([] if own else ["AccessDenied"]), name


def test_function_deletes_no_version(actor: Actor) -> None:
    """A deleted work item leaves a version and a delete marker, which only the lifecycle removes."""
    s3, bucket = actor.client("s3"), actor.deployment.lake_bucket
    for name in DERIVED:
        version = {"Key": key_of(name), "VersionId": "none"}
        assert not allowed(s3.delete_object, Bucket=bucket, **version), name
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [version]})
        assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"], name


def test_function_lists_only_its_prefixes(actor: Actor) -> None:
    s3, bucket = actor.client("s3"), actor.deployment.lake_bucket
    for name in [*DERIVED, *LANDING, *OUTSIDE]:
        listing = {"Bucket": bucket, "Prefix": name, "MaxKeys": LISTED_MAX}
        # A role that may read below a prefix may also list it (modules/zone_function/iam.tf explains why).
        readable = any(actor.may(what, name) for what in ("lists", "reads", "landing"))
        assert allowed(s3.list_objects_v2, **listing) == readable, name
    for name in actor.access["lists"]:
        assert allowed(s3.list_objects_v2, Bucket=bucket, Prefix=f"{name}deeper/"), name


def test_function_has_no_access_to_other_buckets(actor: Actor) -> None:
    s3 = actor.client("s3")
    (queries,) = {bucket["Name"] for bucket in actor.deployment.emulator.client("s3").list_buckets()["Buckets"]} - {
        actor.deployment.lake_bucket
    }
    assert not allowed(s3.list_buckets)
    for bucket in (queries, "another-bucket"):
        assert not allowed(s3.get_object, Bucket=bucket, Key="a")
        assert not allowed(s3.put_object, Bucket=bucket, Key="a", Body=b"", IfNoneMatch="*")
        assert not allowed(s3.list_objects_v2, Bucket=bucket)


def test_function_registers_partitions_of_its_table_only(actor: Actor) -> None:
    glue, database = actor.client("glue"), actor.deployment.database
    for table in TABLES:
        where = {"DatabaseName": database, "TableName": table}
        own = table == actor.name and actor.access["registers_partitions"]
        assert allowed(glue.batch_create_partition, **where, PartitionInputList=[]) == own, table
        assert not allowed(glue.create_partition, **where, PartitionInput={"Values": ["d", "h"]}), table
        assert not allowed(glue.batch_delete_partition, **where, PartitionsToDelete=[]), table
        assert not allowed(glue.delete_partition, **where, PartitionValues=["d", "h"]), table
        assert not allowed(glue.get_partitions, **where), table
        assert not allowed(glue.delete_table, DatabaseName=database, Name=table), table
        assert not allowed(glue.update_table, DatabaseName=database, TableInput={"Name": table}), table


def test_function_receives_from_its_queues_only(actor: Actor) -> None:
    sqs = actor.client("sqs")
    for name, queue in actor.deployment.queues.items():
        own, url = name in (f"{actor.name}-landing", f"{actor.name}-changes"), queue["url"]
        assert allowed(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["All"]) == own, name
        assert allowed(sqs.delete_message, QueueUrl=url, ReceiptHandle="none") == own, name
        assert allowed(sqs.receive_message, QueueUrl=url, VisibilityTimeout=0) == own, name
        assert not allowed(sqs.send_message, QueueUrl=url, MessageBody="a"), name
        assert not allowed(sqs.purge_queue, QueueUrl=url), name
        dead_letters = queue["dead_letter_queue_url"]
        assert not allowed(sqs.receive_message, QueueUrl=dead_letters, VisibilityTimeout=0), name
        assert not allowed(sqs.send_message, QueueUrl=dead_letters, MessageBody="a"), name


def test_function_writes_to_its_log_group_only(actor: Actor) -> None:
    logs = actor.client("logs")
    for name in FUNCTIONS:
        stream = {"logGroupName": actor.deployment.function(name)["log_group"], "logStreamName": actor.name}
        own = name == actor.name
        assert allowed(logs.create_log_stream, **stream) == own, name
        line = {"timestamp": 1_700_000_000_000, "message": "a"}
        assert allowed(logs.put_log_events, **stream, logEvents=[line]) == own, name
        assert not allowed(logs.get_log_events, **stream), name
        assert not allowed(logs.delete_log_group, logGroupName=stream["logGroupName"]), name
    assert not allowed(logs.create_log_group, logGroupName="/aws/lambda/another")


def test_function_has_no_other_permission(actor: Actor) -> None:
    deployment = actor.deployment
    assert not allowed(actor.client("iam").list_roles)
    assert not allowed(actor.client("iam").delete_role, RoleName=deployment.function(actor.name)["function_name"])
    assert not allowed(actor.client("lambda").list_functions)
    assert not allowed(actor.client("s3").put_bucket_policy, Bucket=deployment.lake_bucket, Policy="{}")
    assert not allowed(actor.client("s3").delete_bucket_policy, Bucket=deployment.lake_bucket)
    topic = next(iter(deployment.outputs["topic_arns"].values()))
    assert not allowed(actor.client("sns").publish, TopicArn=topic, Message="a")
    assert not allowed(actor.client("athena").list_work_groups)


@pytest.mark.parametrize("caller", ["root", *FUNCTIONS])
def test_only_lambda_assumes_the_roles(deployment: Deployment, caller: str) -> None:
    emulator = deployment.emulator
    credentials = ROOT if caller == "root" else emulator.assume(deployment.function(caller)["role_arn"])
    for name in FUNCTIONS:
        with pytest.raises(ClientError, match="AccessDenied"):
            emulator.assume(deployment.function(name)["role_arn"], credentials)


@pytest.mark.parametrize("name", DERIVED)
def test_unconditional_writes_to_derived_prefixes_are_denied(
    deployment: Deployment, uploader: Credentials, name: str
) -> None:
    bucket, key = deployment.lake_bucket, key_of(name)
    for credentials in (ROOT, uploader):
        s3 = deployment.emulator.client("s3", credentials)
        assert not allowed(s3.put_object, Bucket=bucket, Key=key, Body=b"")
        # S3 has no conditional copies.
        source = {"Bucket": bucket, "Key": f"{LANDING[0]}roles"}
        assert not allowed(s3.copy_object, Bucket=bucket, Key=key, CopySource=source)
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"")
        complete = {
            "Bucket": bucket,
            "Key": key,
            "UploadId": upload,
            "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        }
        assert not allowed(s3.complete_multipart_upload, **complete)
        assert allowed(s3.complete_multipart_upload, **complete, IfNoneMatch="*")
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        assert allowed(s3.put_object, Bucket=bucket, Key=key, Body=b"", IfNoneMatch="*")
        assert allowed(s3.put_object, Bucket=bucket, Key=key, Body=b"", IfMatch='"0"')


@pytest.mark.parametrize("prefix", LANDING)
def test_landing_prefixes_accept_unconditional_writes(
    deployment: Deployment, uploader: Credentials, prefix: str
) -> None:
    s3 = deployment.emulator.client("s3", uploader)
    s3.put_object(Bucket=deployment.lake_bucket, Key=f"{prefix}roles", Body=b"")


def test_requests_without_tls_are_denied(deployment: Deployment) -> None:
    """Loopback counts as TLS in these tests, so this test evaluates the policies directly."""
    emulator, account = deployment.emulator, "123456789012"
    root = Principal("AWS", f"arn:aws:iam::{account}:root")
    s3, sqs, sns = (emulator.client(service) for service in ("s3", "sqs", "sns"))
    policies: dict[tuple[str, str], str] = {}
    for bucket in s3.list_buckets()["Buckets"]:
        arn = f"arn:aws:s3:::{bucket['Name']}"
        policy = s3.get_bucket_policy(Bucket=bucket["Name"])["Policy"]
        policies |= {("s3:ListBucket", arn): policy, ("s3:GetObject", f"{arn}/a"): policy}
    for queue in deployment.queues.values():
        for url in (queue["url"], queue["dead_letter_queue_url"]):
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            policies["sqs:ReceiveMessage", attributes["QueueArn"]] = attributes["Policy"]
    for arn in [*deployment.outputs["topic_arns"].values(), deployment.outputs["alarm_topic_arn"]]:
        policies["sns:Publish", arn] = sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]
    assert len(policies) == 2 * 2 + 2 * len(QUEUES) + len(TOPOLOGY["triggers"]) + 1
    for (action, arn), policy in policies.items():
        for secure in ("true", "false"):
            request = Request(root, action, arn, {"aws:SecureTransport": secure})
            assert decide(request, [], [json.loads(policy)]).allowed == (secure == "true"), (action, arn)


def test_landing_files_have_queues_of_their_own(deployment: Deployment) -> None:
    assert deployment.queues.keys() == QUEUES.keys()


@pytest.mark.parametrize("name", QUEUES)
def test_only_topics_of_its_triggers_send_to_a_queue(deployment: Deployment, name: str) -> None:
    queue = deployment.queues[name]
    attributes = deployment.emulator.client("sqs").get_queue_attributes(QueueUrl=queue["url"], AttributeNames=["Policy"])
    policy = [json.loads(attributes["Attributes"]["Policy"])]
    for trigger in TOPOLOGY["triggers"]:
        topic = f"arn:aws:sns:{REGION}:123456789012:stedi-{trigger['name']}"
        assert topic in deployment.outputs["topic_arns"].values()
        context = {"aws:SourceArn": topic, "aws:SourceAccount": "123456789012", "aws:SecureTransport": "true"}
        request = Request(Principal("Service", "sns.amazonaws.com"), "sqs:SendMessage", queue["arn"], context)
        assert decide(request, [], policy).allowed == (trigger["name"] in QUEUES[name]), topic


def test_dead_letter_queues_accept_only_their_source_queue(deployment: Deployment) -> None:
    sqs = deployment.emulator.client("sqs")
    for queue in deployment.queues.values():
        attributes = sqs.get_queue_attributes(QueueUrl=queue["dead_letter_queue_url"], AttributeNames=["All"])
        policy = json.loads(attributes["Attributes"]["RedriveAllowPolicy"])
        assert policy == {"redrivePermission": "byQueue", "sourceQueueArns": [queue["arn"]]}
