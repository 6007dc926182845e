"""The policy evaluator, on which all other tests of policies rely."""

import pytest

from policies import Principal, Request, UnknownPolicy, decide

ALICE = Principal("AWS", "arn:aws:iam::123456789012:user/alice")
ACCOUNT_ROOT = Principal("AWS", "arn:aws:iam::123456789012:root")
S3 = Principal("Service", "s3.amazonaws.com")
OBJECT = "arn:aws:s3:::lake/customer/trusted/07.parquet"


def policy(effect: str = "Allow", resource: str | list[str] = OBJECT, **elements: object) -> list[dict]:
    return [{"Statement": [{"Effect": effect, "Action": "s3:PutObject", "Resource": resource, **elements}]}]


def put(principal: Principal = ALICE, **context: str) -> Request:
    named = {
        name.replace("_", "-").replace("s3-", "s3:").replace("aws-", "aws:"): value for name, value in context.items()
    }
    return Request(principal, "s3:PutObject", OBJECT, named)


def test_nothing_is_allowed_unless_a_statement_allows_it() -> None:
    assert not decide(put(), [], []).allowed
    assert decide(put(), policy(), []).allowed
    assert decide(put(), [], policy(Principal="*")).allowed
    assert decide(put(ACCOUNT_ROOT), [], []).allowed


@pytest.mark.parametrize("principal", [ALICE, ACCOUNT_ROOT])
def test_denial_overrides_allowance(principal: Principal) -> None:
    assert not decide(put(principal), policy(), policy("Deny", Principal="*")).allowed
    assert not decide(put(principal), policy() + policy("Deny"), []).allowed


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*", True),
        ("arn:aws:s3:::lake/*", True),
        ("arn:aws:s3:::lake/customer/trusted/??.parquet", True),
        ("arn:aws:s3:::lake/customer/trusted/", False),
        ("arn:aws:s3:::lake", False),
        ("arn:aws:s3:::Lake/*", False),
        (["arn:aws:s3:::other/*", "arn:aws:s3:::lake/customer/*"], True),
    ],
)
def test_resource_patterns(pattern: str | list[str], matches: bool) -> None:
    assert decide(put(), policy(resource=pattern), []).allowed == matches


@pytest.mark.parametrize(
    ("action", "matches"), [("s3:*", True), ("s3:Put*", True), ("S3:putobject", True), ("s3:Get*", False)]
)
def test_action_patterns(action: str, matches: bool) -> None:
    assert decide(put(), policy(Action=[action]), []).allowed == matches


@pytest.mark.parametrize(
    ("operator", "value", "without", "with_a", "with_b"),
    [
        ("StringEquals", "a", False, True, False),
        ("StringEqualsIfExists", "a", True, True, False),
        ("StringNotEquals", "a", True, False, True),
        ("StringLike", ["a*", "c"], False, True, False),
        ("StringLikeIfExists", "a*", True, True, False),
        ("Null", "true", True, False, False),
        ("Null", False, False, True, True),
    ],
)
def test_condition_operators(operator: str, value: object, without: bool, with_a: bool, with_b: bool) -> None:
    own = policy(Condition={operator: {"s3:prefix": value}})
    requests = (put(), put(s3_prefix="a"), put(s3_prefix="b"))
    assert [decide(request, own, []).allowed for request in requests] == [without, with_a, with_b]


def test_all_conditions_of_a_statement_must_hold() -> None:
    unconditional = {"Null": {"s3:if-match": "true", "s3:if-none-match": "true"}}
    bucket = policy("Deny", Principal="*", Condition=unconditional)
    allowed = [put(s3_if_match="e"), put(s3_if_none_match="*")]
    assert all(decide(request, policy(), bucket).allowed for request in allowed)
    assert not decide(put(), policy(), bucket).allowed


def test_service_is_allowed_for_its_source_only() -> None:
    topic = policy(
        Principal={"Service": "s3.amazonaws.com"}, Condition={"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::lake"}}
    )
    assert decide(Request(S3, "s3:PutObject", OBJECT, {"aws:SourceArn": "arn:aws:s3:::lake"}), [], topic).allowed
    assert not decide(Request(S3, "s3:PutObject", OBJECT, {"aws:SourceArn": "arn:aws:s3:::lake2"}), [], topic).allowed
    assert not decide(Request(S3, "s3:PutObject", OBJECT), [], topic).allowed
    assert not decide(Request(ALICE, "s3:PutObject", OBJECT, {"aws:SourceArn": "arn:aws:s3:::lake"}), [], topic).allowed


def test_aws_account_as_principal_denies_all_its_principals_and_allows_only_its_root() -> None:
    account = {"AWS": "arn:aws:iam::123456789012:root"}
    assert not decide(put(), policy(), policy("Deny", Principal=account)).allowed
    assert not decide(put(), [], policy(Principal=account)).allowed


def test_role_is_assumed_only_by_the_principal_of_its_policy() -> None:
    role = "arn:aws:iam::123456789012:role/function"
    trust_policy = [{"Statement": [{"Effect": "Allow", "Principal": {"Service": S3.name}, "Action": "sts:AssumeRole"}]}]
    assert decide(Request(S3, "sts:AssumeRole", role), [], trust_policy, both=True).allowed
    for other in (ALICE, ACCOUNT_ROOT, Principal("Service", "sns.amazonaws.com")):
        assert not decide(Request(other, "sts:AssumeRole", role), [], trust_policy, both=True).allowed


@pytest.mark.parametrize(
    "elements",
    [
        {"NotPrincipal": "*"},
        {"Condition": {"NumericLessThan": {"s3:prefix": "1"}}},
        {"Condition": {"ForAnyValue:StringLike": {"s3:prefix": "1"}}},
        {"Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}},
        {"Condition": {"StringEquals": {"s3:prefix": "${aws:username}"}}},
        {"Resource": "arn:aws:s3:::${aws:username}/*"},
        {"Effect": "Maybe"},
    ],
)
def test_unknown_element_is_an_error(elements: dict) -> None:
    with pytest.raises(UnknownPolicy):
        decide(put(s3_prefix="1"), policy(**elements), [])
