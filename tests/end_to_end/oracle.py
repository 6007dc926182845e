"""Defines the five tables as SQL over clean landing files, independently of the product's code.

DuckDB runs the statements over the files of a landing folder.
"""

from pathlib import Path

import duckdb

LANDING = {
    "customer": {
        "customerName": "VARCHAR",
        "email": "VARCHAR",
        "phone": "VARCHAR",
        "birthDay": "VARCHAR",
        "serialNumber": "VARCHAR",
        "registrationDate": "BIGINT",
        "lastUpdateDate": "BIGINT",
        "shareWithResearchAsOfDate": "BIGINT",
        "shareWithPublicAsOfDate": "BIGINT",
        "shareWithFriendsAsOfDate": "BIGINT",
    },
    "accelerometer": {"user": "VARCHAR", "timestamp": "BIGINT", "x": "DOUBLE", "y": "DOUBLE", "z": "DOUBLE"},
    "step_trainer": {"sensorReadingTime": "BIGINT", "serialNumber": "VARCHAR", "distanceFromObject": "INTEGER"},
}

# Which readings of a consenting customer count, by policy. {time} and {consent} are columns.
COUNTS = {"ever": "true", "at-reading": "{time} >= {consent}"}

# Which pairs of readings of one instant the training table has.
PAIRS = {"same-instant": "true", "same-customer": "step_user = motion_user"}

# The time that orders the records of a customer.
RECORD_TIME = "coalesce(lastupdatedate, registrationdate, 0)"

PARTITION = "strftime(epoch_ms({time}), '%Y-%m-%d') AS dt, strftime(epoch_ms({time}), '%H') AS hour"

# Of records of the same time, one without consent wins. The SQL does not order records that differ in other fields, and it
# does not know the withdrawals of replaced files.
CUSTOMER_TRUSTED = f"""
    SELECT customername, email, phone, birthday, serialnumber, registrationdate, lastupdatedate,
           sharewithresearchasofdate, sharewithpublicasofdate, sharewithfriendsasofdate
    FROM (SELECT * FROM customer_landing
          QUALIFY row_number() OVER (
              PARTITION BY email
              ORDER BY {RECORD_TIME} DESC, coalesce(sharewithresearchasofdate, 0) <> 0) = 1)
    WHERE coalesce(sharewithresearchasofdate, 0) <> 0"""

ACCELEROMETER_TRUSTED = """
    SELECT a."user", a."timestamp", a.x, a.y, a.z, {partition}
    FROM accelerometer_landing a JOIN customer_trusted c ON a."user" = c.email
    WHERE {counts}"""

# A customer whose readings were all replaced stays curated. So the readings of replaced files count here, and only here.
CUSTOMER_CURATED = """
    SELECT * FROM customer_trusted c
    WHERE EXISTS (FROM (FROM accelerometer_landing UNION ALL FROM replaced_accelerometer_landing) a
                  WHERE a."user" = c.email AND {counts})"""

# The owner of a device is the customer, consenting or not, whose latest record names it.
STEP_TRAINER_TRUSTED = """
    WITH latest AS (
        SELECT email, serialnumber, {record_time} AS time, coalesce(sharewithresearchasofdate, 0) <> 0 AS consents
        FROM customer_landing
        QUALIFY row_number() OVER (PARTITION BY email ORDER BY time DESC, consents) = 1),
    owner AS (
        SELECT * FROM latest WHERE serialnumber IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY serialnumber ORDER BY time DESC, consents) = 1)
    SELECT s.sensorreadingtime, s.serialnumber, s.distancefromobject, c.email AS "user", {partition}
    FROM step_trainer_landing s
    JOIN owner ON s.serialnumber = owner.serialnumber
    JOIN customer_curated c ON c.email = owner.email
    WHERE {counts}"""

MACHINE_LEARNING_CURATED = """
    SELECT sensorreadingtime, distancefromobject, x, y, z, step_user = motion_user AS same_customer, dt, hour
    FROM (SELECT DISTINCT s.sensorreadingtime, s.serialnumber, s.distancefromobject, s.dt, s.hour,
                          s."user" AS step_user, a."user" AS motion_user, a."timestamp", a.x, a.y, a.z
          FROM step_trainer_trusted s JOIN accelerometer_trusted a ON s.sensorreadingtime = a."timestamp")
    WHERE {pairs}"""


def literal(text: object) -> str:
    """Returns `text` as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def load(
    con: duckdb.DuckDBPyConnection, schema: str, landing: Path, consent: str, pairs: str, replaced: Path | None = None
) -> None:
    """Fills a new schema of `con` with the landing tables and the five derived tables.

    `replaced` is a folder of accelerometer files that the lake ingested before others replaced them.
    """
    con.execute(f"CREATE SCHEMA {schema}; USE {schema}")
    for source, columns in LANDING.items():
        create_landing(con, source, columns, landing / source / "landing")
    create_landing(con, "replaced_accelerometer", LANDING["accelerometer"], replaced)
    motion_counts = COUNTS[consent].format(time='a."timestamp"', consent="c.sharewithresearchasofdate")
    step_counts = COUNTS[consent].format(time="s.sensorreadingtime", consent="c.sharewithresearchasofdate")
    for name, statement in {
        "customer_trusted": CUSTOMER_TRUSTED,
        "accelerometer_trusted": ACCELEROMETER_TRUSTED.format(
            counts=motion_counts, partition=PARTITION.format(time='a."timestamp"')
        ),
        "customer_curated": CUSTOMER_CURATED.format(counts=motion_counts),
        "step_trainer_trusted": STEP_TRAINER_TRUSTED.format(
            counts=step_counts, partition=PARTITION.format(time="s.sensorreadingtime"), record_time=RECORD_TIME
        ),
        "machine_learning_curated": MACHINE_LEARNING_CURATED.format(pairs=PAIRS[pairs]),
    }.items():
        con.execute(f"CREATE TABLE {name} AS {statement}")
    con.execute("USE main")


def create_landing(con: duckdb.DuckDBPyConnection, source: str, columns: dict[str, str], folder: Path | None) -> None:
    """Creates a landing table of all JSON lines below `folder`, with column names in lower case."""
    declared = ", ".join(f'"{name.lower()}" {kind}' for name, kind in columns.items())
    con.execute(f"CREATE TABLE {source}_landing ({declared})")
    paths = sorted(folder.rglob("*")) if folder else []
    files = [literal(path) for path in paths if path.is_file() and path.stat().st_size]
    if files:
        spelled = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
        con.execute(
            f"INSERT INTO {source}_landing SELECT * FROM read_json([{', '.join(files)}], "
            f"format = 'newline_delimited', columns = {{{spelled}}})"
        )
