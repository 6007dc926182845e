"""Landing files do not hold up a withdrawal: the events of both wait in different queues."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from conftest import FUNCTIONS
from deployed_lake import DeployedLake, running
from deployment import Deployment
from landing import BEGIN, HOUR, MINUTE, Landing, customer, email, motion, step

# The queues of landing files with readings.
QUEUES = ("accelerometer_trusted-landing", "step_trainer_trusted-landing")
PEOPLE = (1, 2)
GARBAGE = "{not json"
# More than one batch.
BAD_MESSAGES = 12


def readings(folder: Path, time: int) -> Landing:
    """Makes a file of each kind, with one reading of each person. Its values tell whose it is, also without a name."""
    landing = Landing(folder)
    landing.motions(f"phones-{time}.json", *(motion(person, time, x=float(person)) for person in PEOPLE))
    landing.steps(f"devices-{time}.json", *(step(person, time, distance=person) for person in PEOPLE))
    return landing


@pytest.fixture
def lake(deployment: Deployment, tmp_path: Path) -> Iterator[DeployedLake]:
    """A lake in which every table has rows of two customers."""
    landing = readings(tmp_path / "before", BEGIN)
    landing.customers("customers.json", *(customer(person, BEGIN, BEGIN) for person in PEOPLE))
    with running(deployment) as lake:
        lake.upload(landing.folder)
        lake.wait()
        assert customers(lake) == dict.fromkeys(FUNCTIONS, set(PEOPLE))
        yield lake


@pytest.fixture
def withdrawal(tmp_path: Path) -> Landing:
    """The first customer withdraws."""
    landing = Landing(tmp_path / "withdrawal")
    landing.customers("withdrawal.json", customer(1, BEGIN + HOUR))
    return landing


def customers(lake: DeployedLake) -> dict[str, set[int]]:
    """Returns the customers whose rows each table has."""
    people = {email(person): person for person in PEOPLE}
    found = {name: lake.table(name) for name in FUNCTIONS}
    training = found.pop("machine_learning_curated")
    columns = {name: "user" if "user" in table.columns else "email" for name, table in found.items()}
    named = {name: {people[one] for one in table[columns[name]]} for name, table in found.items()}
    return named | {"machine_learning_curated": {*map(int, training["x"]), *training["distancefromobject"]}}


def test_withdrawal_does_not_need_the_event_sources_of_landing_files(
    lake: DeployedLake, withdrawal: Landing, tmp_path: Path
) -> None:
    with ExitStack() as disabled:
        for name in QUEUES:
            disabled.enter_context(lake.sources.sources[name].disable())
        lake.upload(readings(tmp_path / "after", BEGIN + MINUTE).folder)
        lake.upload(withdrawal.folder)
        lake.wait(*QUEUES)
        assert customers(lake) == dict.fromkeys(FUNCTIONS, {2})
        waiting = lake.sources.waiting()
        assert {name: count for name, count in waiting.items() if count} == dict.fromkeys(QUEUES, 1)
    lake.wait()
    assert customers(lake) == dict.fromkeys(FUNCTIONS, {2})
    # The files that waited are ingested, too.
    for name in ("accelerometer_trusted", "step_trainer_trusted"):
        assert len(lake.table(name)) == 2, name


@pytest.mark.parametrize("name", QUEUES)
def test_bad_landing_messages_do_not_hold_up_a_withdrawal(lake: DeployedLake, withdrawal: Landing, name: str) -> None:
    """The function does not answer for the first batch, as if it worked on a bad file until its time-out. Other bad
    messages wait behind it."""
    (instance,) = lake.sources.sources[name].instances
    instance.process.send_signal(signal.SIGSTOP)
    for _ in range(BAD_MESSAGES):
        lake.sqs.send_message(QueueUrl=lake.deployment.queues[name]["url"], MessageBody=GARBAGE)
    lake.upload(withdrawal.folder)
    lake.wait(name)
    assert customers(lake) == dict.fromkeys(FUNCTIONS, {2})
    assert lake.sources.waiting()[name] == BAD_MESSAGES

    instance.process.send_signal(signal.SIGCONT)
    lake.sources.wait_until_empty()
    assert {name: count for name, count in lake.dead_letters().items() if count} == {name: BAD_MESSAGES}
    assert customers(lake) == dict.fromkeys(FUNCTIONS, {2})
