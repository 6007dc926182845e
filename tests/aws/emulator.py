"""moto as AWS, in a process of its own, and clients for it."""

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
# The AWS service that runs the functions: it alone may assume their roles.
LAMBDA = {"AWS_ACCESS_KEY_ID": "lambda.amazonaws.com", "AWS_SECRET_ACCESS_KEY": "lambda.amazonaws.com"}
Credentials = Mapping[str, str]
# One for all clients, since each session reads the descriptions of the services anew.
SESSION = boto3.Session(region_name=REGION)


class Emulator:
    """A running moto. Its log is for its own complaints: a policy that is not understood, an operation it lacks."""

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
        assert self.url, f"moto did not start:\n{self.complaints()}"

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)

    def complaints(self) -> str:
        """What it wrote to its log."""
        return self.log.read_text(errors="replace")

    def environment(self, credentials: Credentials = ROOT) -> dict[str, str]:
        """What an AWS client reads from its environment."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            **credentials,
        }

    def client(self, service: str, credentials: Credentials = ROOT) -> Any:
        # What fails here is to be seen, and not tried again.
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, max_pool_connections=20)
        return SESSION.client(service, endpoint_url=self.url, config=config, **keys(credentials))

    def session(self) -> boto3.Session:
        """For libraries that make their own clients."""
        return boto3.Session(**keys(ROOT), region_name=REGION)

    def assume(self, role_arn: str, credentials: Credentials = LAMBDA) -> Credentials:
        """The credentials of a session of that role."""
        sts = self.client("sts", credentials)
        given = sts.assume_role(RoleArn=role_arn, RoleSessionName="test")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }


def keys(credentials: Credentials) -> dict[str, str]:
    return {name.lower(): value for name, value in credentials.items()}
