"""Makes landing folders with known people and with later records of them, which generated data lacks."""

import json
from collections.abc import Iterable
from pathlib import Path

MINUTE = 60_000
HOUR = 60 * MINUTE
# 2024-05-13 00:00 UTC.
BEGIN = 1_715_558_400_000

SOURCES = ("customer", "accelerometer", "step_trainer")


class Landing:
    """A folder of JSON lines below SOURCE/landing/, as `stedi run` reads it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, source: str, name: str) -> Path:
        return self.folder / source / "landing" / name

    def write(self, source: str, name: str, records: Iterable[dict]) -> Path:
        path = self.path(source, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    def customers(self, name: str, *records: dict) -> Path:
        return self.write("customer", name, records)

    def motions(self, name: str, *records: dict) -> Path:
        return self.write("accelerometer", name, records)

    def steps(self, name: str, *records: dict) -> Path:
        return self.write("step_trainer", name, records)


def email(person: int) -> str:
    return f"person.{person:03}@example.com"


def serial_number(person: int) -> str:
    return f"5e71a1{person:02x}-0000-4000-8000-{person:012x}"


def customer(person: int, updated: int, consent: int | None = None, **other: object) -> dict:
    """Returns a record of a person. `other` replaces or adds fields; a field that is None is left out."""
    record = {
        "customerName": f"Person Number {person}",
        "email": email(person),
        "phone": f"20255501{person:02}",
        "birthDay": f"{1400 + 3 * person}-01-{person % 28 + 1:02}",
        "serialNumber": serial_number(person),
        "registrationDate": BEGIN - 30 * 24 * HOUR,
        "lastUpdateDate": updated,
        "shareWithResearchAsOfDate": consent,
    }
    return {name: value for name, value in (record | other).items() if value is not None}


def motion(person: int, time: int, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> dict:
    return {"user": email(person), "timestamp": time, "x": x, "y": y, "z": z}


def step(person: int, time: int, distance: int = 250) -> dict:
    return {"sensorReadingTime": time, "serialNumber": serial_number(person), "distanceFromObject": distance}


class Village(Landing):
    """People in houses of four. Each house trains in an hour of its own and has files of its own. Every second person
    consents, in the middle of the training. Each person has one step and two motions a minute; every fifth minute, all
    people of a house have them at the same millisecond."""

    PEOPLE = 80
    HOUSE = 4
    MINUTES = 10

    def build(self) -> "Village":
        """Writes the files."""
        self.customers("customers-0.json", *(self.registered(person) for person in range(self.PEOPLE)))
        for house in range(self.PEOPLE // self.HOUSE):
            people = range(house * self.HOUSE, (house + 1) * self.HOUSE)
            moments = [(person, time) for person in people for time in self.times(person)]
            self.motions(
                f"phones-{house:02}.json",
                *(motion(person, time, x, time % 7 / 7, person / 8) for person, time in moments for x in (-1.0, 1.0)),
            )
            self.steps(f"devices-{house:02}.json", *(step(person, time, 200 + time % 91) for person, time in moments))
        return self

    def registered(self, person: int) -> dict:
        consent = self.hour(person) + self.MINUTES * MINUTE // 2 if person % 2 == 0 else None
        return customer(person, BEGIN, consent)

    def hour(self, person: int) -> int:
        """Returns the start of the hour in which the person's house trains."""
        return BEGIN + person // self.HOUSE * HOUR

    def times(self, person: int) -> list[int]:
        return [
            self.hour(person) + minute * MINUTE + (person % self.HOUSE * 1000 if minute % 5 else 0)
            for minute in range(self.MINUTES)
        ]

    def partition(self, person: int) -> str:
        """Returns the partition of all readings of a person."""
        hours = person // self.HOUSE
        return f"dt=2024-05-{13 + hours // 24}/hour={hours % 24:02}"
