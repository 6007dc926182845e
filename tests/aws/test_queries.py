"""DuckDB runs the saved queries of the deployed lake over its tables, since moto runs no queries."""

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import oracle
from checkout import COUNTS, LANDING_COUNTS
from deployed_lake import DeployedLake
from deployment import SOURCE
from lake import TABLES

QUERIES = sorted(path.stem for path in (SOURCE / "queries").glob("*.sql"))
TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "boolean": "BOOLEAN"}


@pytest.fixture(scope="module")
def con(lake: DeployedLake, reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """DuckDB with the tables under the names that a query in the workgroup uses."""
    with duckdb.connect() as con:
        lake.load(con, "stedi")
        con.execute("USE stedi")
        for source, columns in oracle.LANDING.items():
            oracle.create_landing(con, source, columns, reference / source / "landing")
        create_receipts(con, lake, tmp_path_factory.mktemp("receipts") / "receipts.json")
        yield con


def create_receipts(con: duckdb.DuckDBPyConnection, lake: DeployedLake, path: Path) -> None:
    """Creates the table of receipts, one object a line, with the columns and types of the catalog."""
    path.write_bytes(b"".join(lake.read(key) for key in lake.versions("receipts/")))
    columns = lake.glue.get_table(DatabaseName=lake.deployment.database, Name="receipts")["Table"]["StorageDescriptor"]
    declared = ", ".join(f"'{column['Name']}': '{duckdb_type(column['Type'])}'" for column in columns["Columns"])
    con.execute(
        f"CREATE TABLE receipts AS FROM read_json('{path}', format = 'newline_delimited', columns = {{{declared}}})"
    )


def duckdb_type(athena: str) -> str:
    """Returns DuckDB's name of an Athena type: map<K,V>, struct<a:T,...>, array<T>, or a scalar one."""
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
    """Splits at the commas outside of brackets."""
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
def test_saved_query_equals_its_file(lake: DeployedLake, name: str) -> None:
    assert saved(lake, name) == (SOURCE / "queries" / f"{name}.sql").read_text()


def test_each_file_is_a_saved_query(lake: DeployedLake) -> None:
    assert sorted(lake.deployment.outputs["named_queries"]) == QUERIES
    assert set(QUERIES) == {"row_counts", "consent_check", "training_sample", "landing_file_row_counts"}


def test_row_counts(con: duckdb.DuckDBPyConnection, lake: DeployedLake) -> None:
    counts = {row["table_name"]: row["row_count"] for row in rows(con, saved(lake, "row_counts"))}
    assert counts == COUNTS["ever"] | {f"{source}_landing": count for source, (_, count) in LANDING_COUNTS.items()}


def test_consent_check_is_empty(con: duckdb.DuckDBPyConnection, lake: DeployedLake) -> None:
    assert rows(con, saved(lake, "consent_check")) == []


@pytest.mark.parametrize("table", [name for name in TABLES if name != "machine_learning_curated"])
def test_consent_check_shows_a_row_without_consent(
    con: duckdb.DuckDBPyConnection, lake: DeployedLake, table: str
) -> None:
    values = {"email": "'unknown@example.com'", "user": "'unknown@example.com'"}
    columns = [name for name in TABLES[table].columns if name in values]
    con.execute("BEGIN")
    try:
        names = ", ".join(map(quoted, columns))
        con.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(values[name] for name in columns)})")
        found = rows(con, saved(lake, "consent_check"))
    finally:
        con.execute("ROLLBACK")
    assert found == [{"table_name": table, "customer": "unknown@example.com", "row_count": 1}]


def test_training_sample_has_only_pairs_of_one_customer(con: duckdb.DuckDBPyConnection, lake: DeployedLake) -> None:
    query = saved(lake, "training_sample")
    sample = rows(con, query)
    assert len(sample) == 1000
    names = ", ".join(map(quoted, sample[0]))
    others = con.execute(
        f"SELECT count(*) FROM (SELECT {names} FROM ({query}) "
        f"EXCEPT ALL SELECT {names} FROM machine_learning_curated WHERE same_customer)"
    )
    assert others.fetchall() == [(0,)]


def test_landing_file_row_counts_equal_the_receipts(con: duckdb.DuckDBPyConnection, lake: DeployedLake) -> None:
    files = rows(con, saved(lake, "landing_file_row_counts"))
    receipts = {receipt["landing"]["key"]: receipt for receipt in lake.receipts()}
    assert {file["landing_key"] for file in files} == set(receipts)
    for file in files:
        receipt = receipts[file["landing_key"]]
        assert file["landing_bucket"] == lake.deployment.outputs["landing_bucket"]
        found = (file["source"], file["row_count"], file["kept"], file["quarantined"])
        assert found == tuple(receipt[name] for name in ("source", "rows", "kept", "quarantined"))
        assert file["excluded_count"] == sum(receipt["excluded"].values())
        assert file["excluded_by_reason"] == receipt["excluded"]


def test_athena_types_have_names_in_duckdb() -> None:
    assert duckdb_type("array<struct<key:string,rows:bigint>>") == 'STRUCT("key" VARCHAR, "rows" BIGINT)[]'
    assert duckdb_type("map<string,bigint>") == "MAP(VARCHAR, BIGINT)"
    assert split("a:map<b,c>,d:e") == ["a:map<b,c>", "d:e"]
