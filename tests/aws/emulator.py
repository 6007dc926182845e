"""Starts moto as AWS in a process of its own, and makes clients for it."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

HERE = Path(__file__).parent
REGION = "us-east-1"
ROOT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
# The AWS service that runs the functions. Only this service may assume their roles.
LAMBDA = {"AWS_ACCESS_KEY_ID": "lambda.amazonaws.com", "AWS_SECRET_ACCESS_KEY": "lambda.amazonaws.com"}
Credentials = Mapping[str, str]
# All clients share one session, since each new one reads the descriptions of the services again.
SESSION = boto3.Session(region_name=REGION)


class Emulator:
    """A running moto. Its log has errors only: a policy that it does not understand, an operation that it lacks."""

    def __init__(self, log: Path, *options: str):
        self.log = log
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, HERE / "moto_server.py", *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.url = self.process.stdout.readline().strip()
        assert self.url, f"moto did not start:\n{self.errors()}"

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)

    def errors(self) -> str:
        """Returns the content of its log."""
        return self.log.read_text(errors="replace")

    def environment(self, credentials: Credentials = ROOT) -> dict[str, str]:
        """Returns the environment variables of an AWS client."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            **credentials,
        }

    def client(self, service: str, credentials: Credentials = ROOT) -> Any:
        # Without retries, tests see every failure.
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, max_pool_connections=20)
        return SESSION.client(service, endpoint_url=self.url, config=config, **keys(credentials))

    def session(self) -> boto3.Session:
        """Returns a session for libraries that make their own clients."""
        return boto3.Session(**keys(ROOT), region_name=REGION)

    def assume(self, role_arn: str, credentials: Credentials = LAMBDA) -> Credentials:
        """Assumes a role and returns the credentials."""
        sts = self.client("sts", credentials)
        given = sts.assume_role(RoleArn=role_arn, RoleSessionName="test")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }


def keys(credentials: Credentials) -> dict[str, str]:
    return {name.lower(): value for name, value in credentials.items()}
