"""Makes moto check every request with `policies`.

AWS: IAM decides by action, resource and conditions of the caller's policies and of the resource's policy. moto 5.2
takes `*` for every resource except S3's and ignores all conditions but one. A bucket policy with a condition denies
everything (seen: 403 for every put to a bucket with a TLS-only policy). moto never reads the policies of topics and
queues.

Two callers have fixed credentials, whose secret equals their id. The AWS account's root is `test`, as in Terraform's
settings for emulators. `lambda.amazonaws.com` is the AWS service that assumes the functions' roles. Loopback HTTP
counts as TLS, since the clients here use no TLS and the policies demand it.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

from botocore.credentials import Credentials
from moto import settings
from moto.core.exceptions import JsonRESTError
from moto.iam import access_control
from moto.iam.access_control import AssumedRoleAccessKey, IAMRequest, IAMRequestBase, PermissionResult
from moto.iam.models import Policy
from moto.kms.models import kms_backends
from moto.s3 import notifications
from moto.s3.exceptions import InvalidNotificationDestination
from moto.s3.models import FakeBucket, s3_backends
from moto.sns.models import Subscription, sns_backends
from moto.sqs.models import sqs_backends

from moto_patches import parsed
from policies import Principal, Request, UnknownPolicy, decide

LIST_PARAMETERS = {
    "list-type",
    "prefix",
    "delimiter",
    "max-keys",
    "marker",
    "start-after",
    "continuation-token",
    "encoding-type",
    "fetch-owner",
    "x-id",
}
# An action, its resource, and the context for conditions.
Action = tuple[str, str, dict[str, str]]


class FixedAccessKey:
    """The credentials of one of the two callers that are not IAM users."""

    CALLERS = {
        "test": lambda account: Principal("AWS", f"arn:aws:iam::{account}:root"),
        "lambda.amazonaws.com": lambda _: Principal("Service", "lambda.amazonaws.com"),
    }

    def __init__(self, account: str, access_key_id: str):
        self.principal = self.CALLERS[access_key_id](account)
        self.arn = self.principal.name
        self._id = access_key_id

    def create_credentials(self) -> Credentials:
        return Credentials(self._id, self._id)

    def collect_policies(self) -> list[Any]:
        return []


def apply() -> None:
    """Enforces policies from the first request on."""
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    known = access_control.create_access_key

    def create_access_key(account_id: str, partition: str, access_key_id: str, headers: Any) -> Any:
        if access_key_id in FixedAccessKey.CALLERS:
            return FixedAccessKey(account_id, access_key_id)
        return known(account_id, partition, access_key_id, headers)

    access_control.create_access_key = create_access_key
    IAMRequestBase.check_action_permitted = check
    sign_empty_bodies()
    IAMRequest._raise_access_denied = deny_in_json
    # `check` evaluates bucket policies, with their conditions.
    FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL
    guard_notifications()


def sign_empty_bodies() -> None:
    """AWS: the signature of a request without a body covers an empty body. moto: takes the headers for the body. Seen:
    403 for Lambda's GetFunction with a correct signature."""
    make = IAMRequestBase._create_aws_request

    def create(self: IAMRequestBase) -> Any:
        request = make(self)
        # `_data` holds the form, or the headers if there is no form.
        if not self._headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            request.data = self._body or b""
        return request

    IAMRequestBase._create_aws_request = create


def deny_in_json(self: IAMRequest) -> None:
    """AWS: JSON services deny in JSON. moto: always denies in XML, in which the SDKs find no error code."""
    message = f"User: {self._access_key.arn} is not authorized to perform: {self._action}"
    if "json" not in self._headers.get("Content-Type", ""):
        raise access_control.AccessDeniedError(user_arn=self._access_key.arn, action=self._action)
    raise JsonRESTError("AccessDeniedException", message)


def check(self: IAMRequestBase, resource: str) -> None:
    """Refuses a request unless policies allow each action that it needs."""
    # AWS allows this without a policy.
    if self._action == "sts:GetCallerIdentity":
        return
    needed = list(needed_actions(self, resource))
    if not needed or not all(allowed(self, action, arn, context) for action, arn, context in needed):
        self._raise_access_denied()


def allowed(caller: IAMRequestBase, action: str, arn: str, context: dict[str, str]) -> bool:
    key = caller._access_key
    role_arn = f"arn:aws:iam::{caller.account_id}:role/{key._owner_role_name}" if is_session(key) else None
    principal = getattr(key, "principal", Principal("AWS", key.arn))
    common = {"aws:SecureTransport": "true", "aws:PrincipalArn": role_arn or key.arn}
    request = Request(principal, action, arn, common | context, role_arn)
    return decide(request, own_policies(key), resource_policies(caller, arn), both=action == "sts:AssumeRole").allowed


def is_session(key: Any) -> bool:
    return isinstance(key, AssumedRoleAccessKey)


def own_policies(key: Any) -> Iterator[dict]:
    for policy in key.collect_policies():
        if isinstance(policy, Policy):
            version = next(version for version in policy.versions if version.is_default)
            yield from parsed(version.document)
        else:
            yield from parsed(policy["policy_document"] if isinstance(policy, dict) else policy)


def resource_policies(caller: IAMRequestBase, arn: str) -> list[dict]:
    """Returns the policy of the requested bucket, queue, topic, key or role."""
    _, partition, service, region, _, name = arn.split(":", 5) if arn != "*" else ("",) * 6
    account = caller.account_id
    match service:
        case "s3":
            bucket = s3_backends[account][partition].buckets.get(name.split("/")[0])
            return parsed(bucket.policy if bucket else None)
        case "sqs":
            queue = sqs_backends[account][region].queues.get(name)
            return parsed(queue.policy if queue else None)
        case "sns":
            topic = sns_backends[account][region].topics.get(arn)
            return parsed(topic.policy if topic else None)
        case "kms":
            key = kms_backends[account][region].keys.get(name.removeprefix("key/"))
            return parsed(key.policy if key else None)
        case "iam" if name.startswith("role/"):
            return parsed(caller.backend.get_role_by_arn(arn).assume_role_policy_document)
    return []


def needed_actions(caller: IAMRequestBase, resource: str) -> Iterator[Action]:
    """Yields the actions and resources of a request. The resource of an unknown operation is `*`. Only the policy for
    tracing allows `*`, so all callers but the AWS account's root are refused."""
    service, operation = caller._action.split(":", 1)
    if service == "s3":
        yield from needed_s3_actions(caller, operation, resource)
        return
    body = caller._body.decode() if isinstance(caller._body, bytes) else caller._body
    sent = json.loads(body) if body and body.startswith("{") else {}
    region, account = caller._region, caller.account_id
    prefix = f"arn:aws:{service}:{region}:{account}:"
    match service:
        case "sqs" if "QueueUrl" in sent:
            actions = {"DeleteMessageBatch": "DeleteMessage", "ChangeMessageVisibilityBatch": "ChangeMessageVisibility"}
            yield f"sqs:{actions.get(operation, operation)}", prefix + sent["QueueUrl"].rsplit("/", 1)[1], {}
        case "glue" if "DatabaseName" in sent:
            # Glue checks each level, down to the table.
            yield caller._action, prefix + "catalog", {}
            yield caller._action, prefix + f"database/{sent['DatabaseName']}", {}
            if table := sent.get("TableName"):
                yield caller._action, prefix + f"table/{sent['DatabaseName']}/{table}", {}
        case "logs" if "logGroupName" in sent:
            stream = sent.get("logStreamName", "")
            yield caller._action, prefix + f"log-group:{sent['logGroupName']}:log-stream:{stream}", {}
        case "sts" if operation == "AssumeRole":
            # Both policies name the role by its ARN.
            yield "sts:AssumeRole", caller._data["RoleArn"][0], {}
        case _:
            yield caller._action, "*", {}


def needed_s3_actions(caller: IAMRequestBase, operation: str, resource: str) -> Iterator[Action]:
    split = urlsplit(caller._path)
    query = {name: values[0] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
    headers = {name.lower(): value for name, value in caller._headers.items()}
    match operation:
        case "HeadBucket":
            yield "s3:ListBucket", resource, {}
        case "ListBucket":
            if query.keys() - LIST_PARAMETERS and not is_root(caller):
                raise UnknownPolicy(f"which action {sorted(query)} needs")
            yield (
                "s3:ListBucket",
                resource,
                {f"s3:{key}": query[key] for key in ("prefix", "delimiter") if key in query},
            )
        case "PutObject":
            yield "s3:PutObject", resource, put_context(caller._method, query, headers)
            if source := headers.get("x-amz-copy-source"):
                yield "s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/')}", {}
        case "DeleteObject" if "delete" in query:
            for one in ElementTree.fromstring(caller._body).findall(".//{*}Object"):
                yield delete_action(one.find("{*}VersionId") is not None), f"{resource}/{one.findtext('{*}Key')}", {}
        case "GetObject":
            yield "s3:GetObject", resource, {}
            bucket, _, key = resource.removeprefix("arn:aws:s3:::").partition("/")
            if not exists(caller, bucket, key):
                # AWS answers 404 for a missing object only to callers that may list the bucket, and 403 to others. AWS
                # does not document which `s3:prefix` that check uses: none, or the key. Here, both must be allowed.
                yield "s3:ListBucket", f"arn:aws:s3:::{bucket}", {}
                yield "s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": key}
        case "DeleteObject":
            yield delete_action("versionId" in query), resource, {}
        case _:
            yield f"s3:{operation}", resource, {}


def delete_action(names_version: bool) -> str:
    """Returns the action of a delete. Without a version it leaves a delete marker; with one, the version is gone."""
    return "s3:DeleteObjectVersion" if names_version else "s3:DeleteObject"


def put_context(method: str, query: dict[str, str], headers: dict[str, str]) -> dict[str, str]:
    """Returns the condition keys of a put. Only the completion of a multipart upload creates an object, not its
    parts."""
    part = "partNumber" in query or "uploads" in query
    context = {"s3:ObjectCreationOperation": "false" if part else "true"}
    for header in ("if-match", "if-none-match", "x-amz-server-side-encryption", "x-amz-acl"):
        if header in headers:
            context[f"s3:{header}"] = headers[header]
    return context


def is_root(caller: IAMRequestBase) -> bool:
    return isinstance(caller._access_key, FixedAccessKey) and caller._access_key.principal.is_root


def exists(caller: IAMRequestBase, bucket: str, key: str) -> bool:
    known = s3_backends[caller.account_id]["aws"].buckets.get(bucket)
    return known is None or key in known.keys


def guard_notifications() -> None:
    """AWS: S3 publishes only to a topic whose policy allows it, and tests that when notifications are configured. SNS
    sends only to a queue whose policy allows it. moto: always sends."""
    send = notifications._send_sns_message

    def publish(account_id: str, event_body: Any, topic_arn: str, region_name: str) -> None:
        if "Records" in event_body:
            bucket = event_body["Records"][0]["s3"]["bucket"]["name"]
        else:
            bucket = event_body["Bucket"]
        policy = parsed(sns_backends[account_id][region_name].topics[topic_arn].policy)
        if not may_send(account_id, "s3.amazonaws.com", "sns:Publish", topic_arn, f"arn:aws:s3:::{bucket}", policy):
            raise InvalidNotificationDestination
        send(account_id, event_body, topic_arn, region_name)

    notifications._send_sns_message = publish
    deliver = Subscription.publish

    def forward(self: Subscription, *arguments: Any, **named: Any) -> None:
        _, _, _, region, _, queue = self.endpoint.split(":", 5)
        policy = parsed(sqs_backends[self.account_id][region].queues[queue].policy)
        if may_send(self.account_id, "sns.amazonaws.com", "sqs:SendMessage", self.endpoint, self.topic.arn, policy):
            deliver(self, *arguments, **named)

    Subscription.publish = forward


def may_send(account: str, service: str, action: str, target: str, source: str, policy: list[dict]) -> bool:
    context = {"aws:SourceArn": source, "aws:SourceAccount": account, "aws:SecureTransport": "true"}
    return decide(Request(Principal("Service", service), action, target, context), [], policy).allowed
