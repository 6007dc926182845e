"""The tables equal the SQL for any order of uploads, and also when Lambda kills functions."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from comparison import assert_tables
from deployed_lake import running
from deployment import Deployment

ORDERS = {
    "customers first": ("customer", "accelerometer", "step_trainer"),
    "customers last": ("step_trainer", "accelerometer", "customer"),
}
KILLS = 6


@pytest.fixture(scope="module")
def landing(generate: Callable[..., Path]) -> Path:
    """The generated files of 20 customers."""
    return generate("--customers", 20)


@pytest.mark.parametrize("order", ORDERS)
def test_order_of_uploads_does_not_matter(deployment: Deployment, landing: Path, order: str) -> None:
    with running(deployment) as lake:
        for source in ORDERS[order]:
            assert lake.upload(landing, source) > 0
            lake.wait()
        assert len(lake.table("machine_learning_curated")) > 0
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
        assert len(lake.table("machine_learning_curated")) > 0
        assert_tables(lake, landing)
