"""The saved queries, as Athena holds them, over the tables of the deployed lake, run by DuckDB, since moto runs none."""

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import oracle
from deployed_lake import DeployedLake
from deployment import SOURCE
from lake import TABLES
from test_deployed import COUNTS, LANDED

QUERIES = sorted(path.stem for path in (SOURCE / "queries").glob("*.sql"))
TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "boolean": "BOOLEAN"}


@pytest.fixture(scope="module")
def con(lake: DeployedLake, reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """The tables by their names, as a query in the workgroup sees them."""
    with duckdb.connect() as con:
        lake.load(con, "stedi")
        con.execute("USE stedi")
        for source, columns in oracle.LANDING.items():
            oracle.create_landing(con, source, columns, reference / source / "landing")
        create_receipts(con, lake, tmp_path_factory.mktemp("receipts") / "receipts.json")
        yield con


def create_receipts(con: duckdb.DuckDBPyConnection, lake: DeployedLake, path: Path) -> None:
    """The receipts as the catalog declares them: one object a line, its columns and their types."""
    path.write_bytes(b"".join(lake.read(key) for key in lake.versions("receipts/")))
    columns = lake.glue.get_table(DatabaseName=lake.deployment.database, Name="receipts")["Table"]["StorageDescriptor"]
    declared = ", ".join(f"'{column['Name']}': '{duckdb_type(column['Type'])}'" for column in columns["Columns"])
    con.execute(
        f"CREATE TABLE receipts AS FROM read_json('{path}', format = 'newline_delimited', columns = {{{declared}}})"
    )


def duckdb_type(athena: str) -> str:
    """An Athena type as DuckDB spells it: map<K,V>, struct<a:T,...>, array<T>, and plain ones."""
    if athena in TYPES:
        return TYPES[athena]
    outer, inner = re.fullmatch(r"(\w+)<(.*)>", athena).groups()
    parts = split(inner)
    if outer == "array":
        return f"{duckdb_type(inner)}[]"
    if outer == "map":
        return f"MAP({', '.join(map(duckdb_type, parts))})"
    assert outer == "struct", athena
    fields = (part.split(":", 1) for part in parts)
    return f"STRUCT({', '.join(f'{quoted(name)} {duckdb_type(kind)}' for name, kind in fields)})"


def quoted(name: str) -> str:
    return f'"{name}"'


def split(text: str) -> list[str]:
    """At the commas that are in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def saved(lake: DeployedLake, name: str) -> str:
    query_id = lake.deployment.outputs["named_queries"][name]
    query = lake.emulator.client("athena").get_named_query(NamedQueryId=query_id)["NamedQuery"]
    assert query["Database"] == lake.deployment.database
    assert query["WorkGroup"] == lake.deployment.outputs["workgroup"]
    return query["QueryString"]


def rows(con: duckdb.DuckDBPyConnection, query: str) -> list[dict]:
    cursor = con.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.parametrize("name", QUERIES)
def test_saved_query_is_the_file(lake: DeployedLake, name: str) -> None:
    assert saved(lake, name) == (SOURCE / "queries" / f"{name}.sql").read_text()


def test_nothing_else_is_saved(lake: DeployedLake) -> None:
    assert sorted(lake.deployment.outputs["named_queries"]) == QUERIES
    assert set(QUERIES) == {"row_counts", "consent_check", "training_sample", "landing_file_accounts"}


def test_row_counts(con: duckdb.DuckDBPyConnection, lake: DeployedLake) -> None:
    counted = {row["table_name"]: row["row_count"] for row in rows(con, saved(lake, "row_counts"))}
    assert counted == COUNTS | {f"{source}_landing": landed for source, (_, landed) in LANDED.items()}


def test_consent_check_is_empty(con: duckdb.DuckDBPyConnection, lake: DeployedLake) -> None:
    assert rows(con, saved(lake, "consent_check")) == []


@pytest.mark.parametrize("table", [name for name in TABLES if name != "machine_learning_curated"])
def test_consent_check_tells_a_row_without_consent(
    con: duckdb.DuckDBPyConnection, lake: DeployedLake, table: str
) -> None:
    """That it is empty says something."""
    values = {"email": "'nobody@example.com'", "user": "'nobody@example.com'"}
    columns = [name for name in TABLES[table].columns if name in values]
    con.execute("BEGIN")
    try:
        names = ", ".join(map(quoted, columns))
        con.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(values[name] for name in columns)})")
        found = rows(con, saved(lake, "consent_check"))
    finally:
        con.execute("ROLLBACK")
    assert found == [{"table_name": table, "customer": "nobody@example.com", "row_count": 1}]


def test_training_sample_is_of_pairs_of_one_customer(con: duckdb.DuckDBPyConnection, lake: DeployedLake) -> None:
    query = saved(lake, "training_sample")
    sample = rows(con, query)
    assert len(sample) == 1000
    names = ", ".join(map(quoted, sample[0]))
    others = con.execute(
        f"SELECT count(*) FROM (SELECT {names} FROM ({query}) "
        f"EXCEPT ALL SELECT {names} FROM machine_learning_curated WHERE same_customer)"
    )
    assert others.fetchall() == [(0,)]


def test_accounts_are_those_of_the_landing_files(con: duckdb.DuckDBPyConnection, lake: DeployedLake) -> None:
    accounts = rows(con, saved(lake, "landing_file_accounts"))
    receipts = {receipt["landing"]["key"]: receipt for receipt in lake.receipts()}
    assert {account["landing_key"] for account in accounts} == set(receipts)
    for account in accounts:
        receipt = receipts[account["landing_key"]]
        assert account["landing_bucket"] == lake.deployment.outputs["landing_bucket"]
        told = (account["source"], account["row_count"], account["kept"], account["quarantined"])
        assert told == tuple(receipt[name] for name in ("source", "rows", "kept", "quarantined"))
        assert account["excluded_count"] == sum(receipt["excluded"].values())
        assert account["excluded_by_reason"] == receipt["excluded"]


def test_types_of_athena_are_read() -> None:
    assert duckdb_type("array<struct<key:string,rows:bigint>>") == 'STRUCT("key" VARCHAR, "rows" BIGINT)[]'
    assert duckdb_type("map<string,bigint>") == "MAP(VARCHAR, BIGINT)"
    assert split("a:map<b,c>,d:e") == ["a:map<b,c>", "d:e"]
