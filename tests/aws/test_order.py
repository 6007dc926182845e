"""The tables equal the SQL for any order of uploads, and also when Lambda kills functions."""

import itertools
import subprocess
from pathlib import Path

import duckdb
import pytest

import oracle
from comparison import assert_same
from deployed_lake import DeployedLake, running
from deployment import Deployment

ORDERS = {
    "customers first": ("customer", "accelerometer", "step_trainer"),
    "customers last": ("step_trainer", "accelerometer", "customer"),
}
KILLS = 6


@pytest.fixture(scope="module")
def landing(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated files of 20 customers."""
    folder = tmp_path_factory.mktemp("generated")
    command = [release / "stedi", "generate", folder, "--customers", "20"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def assert_tables(lake: DeployedLake, landing: Path) -> None:
    with duckdb.connect() as con:
        oracle.load(con, "expected", landing, "ever")
        assert con.execute("SELECT count(*) > 0 FROM expected.machine_learning_curated").fetchall() == [(True,)]
        lake.load(con, "found")
        assert_same(con, "found", "expected")


@pytest.mark.parametrize("order", ORDERS)
def test_order_of_uploads_does_not_matter(deployment: Deployment, landing: Path, order: str) -> None:
    with running(deployment) as lake:
        for source in ORDERS[order]:
            assert lake.upload(landing, source) > 0
            lake.wait()
        assert_tables(lake, landing)


def test_killed_functions_are_invoked_again(deployment: Deployment, landing: Path) -> None:
    """A function is killed during an invocation. SQS delivers its messages again, to a new process."""
    with running(deployment, instances=2) as lake:
        lake.upload(landing)
        kills = 0
        for source in itertools.islice(itertools.cycle(lake.sources.sources.values()), 100 * KILLS):
            busy = [instance for instance in source.instances if instance.alive and instance.handled]
            if busy and kills < KILLS:
                busy[0].kill()
                kills += 1
            elif not any(lake.sources.waiting().values()):
                break
        lake.wait()
        failed = [one.outcome.error for one in lake.sources.handled() if one.outcome.error]
        # A function may have returned just before its kill.
        assert 0 < len(failed) <= kills and all("the process ended with -9" in error for error in failed)
        assert_tables(lake, landing)
