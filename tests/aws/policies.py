"""Decides whether AWS allows a request, by IAM's algorithm for one AWS account.

An explicit denial in any policy refuses. Otherwise a statement of the caller's policies or of the resource's policy
must allow; the AWS account's root needs no statement. This module implements only the elements that the project's
policies use. Anything else in a policy is an error, because a wrong guess would hide a fault or invent one.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

# These keys are absent where they do not apply; then `Null` is true and `...IfExists` holds.
OPTIONAL_KEYS = {
    "aws:principalarn",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceowner",
    "s3:delimiter",
    "s3:if-match",
    "s3:if-none-match",
    "s3:objectcreationoperation",
    "s3:prefix",
    "s3:x-amz-acl",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "sts:externalid",
}
STATEMENT_ELEMENTS = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}


class UnknownPolicy(Exception):
    """A policy has an element that this module does not implement."""


@dataclass(frozen=True)
class Principal:
    """The caller: an ARN of the AWS account (`AWS`), or an AWS service (`Service`)."""

    kind: str
    name: str

    @property
    def is_root(self) -> bool:
        return self.kind == "AWS" and self.name.endswith(":root")

    @property
    def account(self) -> str | None:
        return self.name.split(":")[4] if self.kind == "AWS" else None


@dataclass(frozen=True)
class Request:
    """One action on one resource, and the keys for conditions."""

    principal: Principal
    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)
    # Policies name the role of a session, not the session.
    role_arn: str | None = None

    def names(self) -> set[str]:
        return {self.principal.name} | ({self.role_arn} if self.role_arn else set())


@dataclass(frozen=True)
class Decision:
    """Whether the request is allowed, and the statement that decided, if there is one."""

    allowed: bool
    reason: str


def decide(request: Request, own: Iterable[dict], of_resource: Iterable[dict], both: bool = False) -> Decision:
    """Decides by the caller's `own` policies and those `of_resource`. With `both`, as for a role's assumption, both
    must allow."""
    allowing = {"own": None, "of the resource": None}
    for whose, policies in (("own", list(own)), ("of the resource", list(of_resource))):
        for statement in (statement for policy in policies for statement in statements(policy)):
            if applies(statement, request, whose == "of the resource"):
                name = f"statement {statement.get('Sid', '(no Sid)')} of a policy {whose}"
                if statement["Effect"] == "Deny":
                    return Decision(False, f"denied by {name}")
                allowing[whose] = name
    if request.principal.is_root and not both:
        return Decision(True, "the AWS account's root")
    # A service has no policies of its own.
    has_own = allowing["own"] or request.principal.is_root or request.principal.kind == "Service"
    if both:
        return Decision(bool(has_own and allowing["of the resource"]), "the trust policy decides")
    allowed = allowing["own"] or allowing["of the resource"]
    return Decision(allowed is not None, f"allowed by {allowed}" if allowed else "no statement allows it")


def statements(policy: dict) -> list[dict]:
    """Returns the statements of a policy. Fails if one has an unknown element."""
    found = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    for statement in found:
        if unknown := statement.keys() - STATEMENT_ELEMENTS:
            raise UnknownPolicy(f"{sorted(unknown)} in {statement}")
        if statement["Effect"] not in ("Allow", "Deny"):
            raise UnknownPolicy(f"effect {statement['Effect']!r}")
    return found


def applies(statement: dict, request: Request, of_resource: bool) -> bool:
    """Returns whether a statement applies to a request."""
    if of_resource != ("Principal" in statement):
        raise UnknownPolicy(f"{'no' if of_resource else 'a'} Principal in {statement}")
    return (
        any(like(request.action.lower(), pattern.lower()) for pattern in listed(statement["Action"]))
        # A role's trust policy names no resource, since it belongs to the role.
        and any(like(request.resource, pattern) for pattern in listed(statement.get("Resource", "*")))
        and (not of_resource or names(statement, request))
        and all(
            condition(operator, key, listed(expected), request.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, expected in keys.items()
        )
    )


def names(statement: dict, request: Request) -> bool:
    """Returns whether a statement's `Principal` includes the caller."""
    principal = statement["Principal"]
    if principal == "*":
        return True
    if unknown := principal.keys() - {"AWS", "Service"}:
        raise UnknownPolicy(f"principals {sorted(unknown)}")
    named = set(listed(principal.get(request.principal.kind, [])))
    account = request.principal.account
    if account and named & {account, f"arn:aws:iam::{account}:root"}:
        # The AWS account means all its principals in a denial. In an allowance, their own policies must allow, too.
        return request.principal.is_root or statement["Effect"] == "Deny"
    return "*" in named or bool(named & request.names())


def condition(operator: str, key: str, expected: list[str], context: Mapping[str, str]) -> bool:
    """Returns whether a key of a condition has one of the expected values; with a negated operator, none of them."""
    known = {name.lower(): value for name, value in context.items()}
    if key.lower() not in known.keys() | OPTIONAL_KEYS:
        raise UnknownPolicy(f"condition key {key}")
    actual = known.get(key.lower())
    if operator == "Null":
        return (actual is None) == (expected == ["true"])
    plain = operator.removesuffix("IfExists")
    if plain not in OPERATORS:
        raise UnknownPolicy(f"condition operator {operator}")
    compare, negated = OPERATORS[plain]
    if actual is None:
        # IAM: a missing key fails, except in a negated comparison.
        return negated or operator.endswith("IfExists")
    return any(compare(actual, value) for value in expected) != negated


def equal(actual: str, expected: str) -> bool:
    return actual == literal(expected)


def like(actual: str, pattern: str) -> bool:
    """Compares with a pattern in which `*` is any text and `?` any character."""
    parts = re.split(r"([*?])", literal(pattern))
    expression = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(expression, actual, re.DOTALL) is not None


def like_arn(actual: str, pattern: str) -> bool:
    """Compares each of an ARN's six parts separately."""
    actual_parts, pattern_parts = actual.split(":", 5), pattern.split(":", 5)
    return len(actual_parts) == len(pattern_parts) and all(map(like, actual_parts, pattern_parts))


def literal(text: str) -> str:
    if "${" in text:
        raise UnknownPolicy(f"a policy variable in {text!r}")
    return text


def listed(value: str | bool | list[str]) -> list[str]:
    return [
        str(item) if isinstance(item, str) else str(item).lower()
        for item in (value if isinstance(value, list) else [value])
    ]


OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (equal, False),
    "StringNotEquals": (equal, True),
    "StringLike": (like, False),
    "StringNotLike": (like, True),
    "ArnEquals": (like_arn, False),
    "ArnLike": (like_arn, False),
    "ArnNotLike": (like_arn, True),
    "Bool": (lambda actual, expected: actual == expected.lower(), False),
}
