"""Libraries that read and write files in S3: s3fs, pyarrow, Polars, and DuckDB through s3fs."""

from collections.abc import Iterator

import duckdb
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest
import s3fs

from lake import TABLES
from stack import MIB, Stack

PARTITIONED = [table.name for table in TABLES.values() if table.partitioned]


@pytest.fixture
def files(exported: Stack) -> Iterator[s3fs.S3FileSystem]:
    # A cached instance would use the endpoint of an earlier stack.
    yield s3fs.S3FileSystem(skip_instance_cache=True)


@pytest.fixture
def arrow_files(exported: Stack) -> pyarrow.fs.S3FileSystem:
    key, secret = exported.credentials
    host, port = exported.address
    return pyarrow.fs.S3FileSystem(
        access_key=key,
        secret_key=secret,
        region=exported.exported["AWS_REGION"],
        scheme="http",
        endpoint_override=f"{host}:{port}",
    )


def test_s3fs_writes_and_reads(files: s3fs.S3FileSystem, bucket: str) -> None:
    with files.open(f"{bucket}/folder/one.txt", "w") as file:
        file.write("one\ntwo\n")
    # A file of more than one block is uploaded in parts.
    body = bytes(range(256)) * (12 * MIB // 256)
    with files.open(f"{bucket}/folder/large", "wb", block_size=5 * MIB) as file:
        file.write(body)
    assert files.cat(f"{bucket}/folder/large") == body
    assert files.cat_file(f"{bucket}/folder/large", start=1000, end=2000) == body[1000:2000]
    with files.open(f"{bucket}/folder/large") as file:
        file.seek(11 * MIB)
        assert file.read(10) == body[11 * MIB : 11 * MIB + 10]
    assert sorted(files.ls(f"{bucket}/folder")) == [f"{bucket}/folder/large", f"{bucket}/folder/one.txt"]
    assert sorted(files.glob(f"{bucket}/**/*.txt")) == [f"{bucket}/folder/one.txt"]
    assert files.info(f"{bucket}/folder/large")["size"] == len(body)
    files.copy(f"{bucket}/folder/large", f"{bucket}/other/large")
    files.mv(f"{bucket}/folder/one.txt", f"{bucket}/other/one.txt")
    assert sorted(files.find(bucket)) == [f"{bucket}/folder/large", f"{bucket}/other/large", f"{bucket}/other/one.txt"]
    files.rm(bucket, recursive=True)
    assert not files.exists(f"{bucket}/other/large")
    with pytest.raises(FileNotFoundError):
        files.cat(f"{bucket}/nowhere")


@pytest.mark.parametrize("table", PARTITIONED)
def test_s3fs_finds_partitioned_tables(
    table: str, files: s3fs.S3FileSystem, stack: Stack, counts: dict[str, int]
) -> None:
    rows = 0
    for path in files.find(f"{stack.bucket}/{TABLES[table].folder}"):
        with files.open(path) as file:
            rows += pyarrow.parquet.ParquetFile(file).metadata.num_rows
    assert rows == counts[table]


@pytest.mark.parametrize("table", TABLES)
def test_pyarrow_reads_tables(
    table: str, arrow_files: pyarrow.fs.S3FileSystem, stack: Stack, counts: dict[str, int]
) -> None:
    partitions = pyarrow.schema([("dt", pyarrow.string()), ("hour", pyarrow.string())])
    dataset = pyarrow.dataset.dataset(
        f"{stack.bucket}/{TABLES[table].folder}",
        filesystem=arrow_files,
        partitioning=pyarrow.dataset.partitioning(partitions, flavor="hive") if table in PARTITIONED else None,
    )
    assert set(TABLES[table].columns) == set(dataset.schema.names)
    assert dataset.to_table().num_rows == counts[table]


def test_pyarrow_writes_and_lists(arrow_files: pyarrow.fs.S3FileSystem, bucket: str) -> None:
    table = pyarrow.table({"n": range(1_000_000), "text": ["some text"] * 1_000_000})
    pyarrow.parquet.write_table(table, f"{bucket}/table/one.parquet", filesystem=arrow_files)
    with arrow_files.open_output_stream(f"{bucket}/table/raw") as stream:
        for _ in range(12):
            stream.write(b"x" * MIB)
    assert pyarrow.parquet.read_table(f"{bucket}/table/one.parquet", filesystem=arrow_files).equals(table)
    found = arrow_files.get_file_info(pyarrow.fs.FileSelector(bucket, recursive=True))
    assert {info.path: info.size for info in found if info.is_file}[f"{bucket}/table/raw"] == 12 * MIB
    arrow_files.create_dir(f"{bucket}/empty")
    assert arrow_files.get_file_info(f"{bucket}/empty").type == pyarrow.fs.FileType.Directory
    arrow_files.move(f"{bucket}/table/raw", f"{bucket}/moved")
    arrow_files.delete_dir(f"{bucket}/table")
    found = arrow_files.get_file_info(pyarrow.fs.FileSelector(bucket, recursive=True))
    assert [info.path for info in found if info.is_file] == [f"{bucket}/moved"]


def polars_options(stack: Stack) -> dict[str, str]:
    key, secret = stack.credentials
    return {
        "aws_endpoint_url": stack.url,
        "aws_access_key_id": key,
        "aws_secret_access_key": secret,
        "aws_region": stack.exported["AWS_REGION"],
        "aws_allow_http": "true",
    }


@pytest.mark.parametrize("table", TABLES)
def test_polars_scans_tables(table: str, stack: Stack, counts: dict[str, int]) -> None:
    location = f"s3://{stack.bucket}/{TABLES[table].folder}/**/*.parquet"
    frame = polars.scan_parquet(location, storage_options=polars_options(stack), hive_partitioning=table in PARTITIONED)
    assert frame.select(polars.len()).collect().item() == counts[table]
    assert set(TABLES[table].columns) == set(frame.collect_schema().names())


def test_polars_gives_the_rows_of_duckdb(stack: Stack, expected: duckdb.DuckDBPyConnection) -> None:
    frame = polars.scan_parquet(
        f"s3://{stack.bucket}/step_trainer/curated/", storage_options=polars_options(stack), hive_partitioning=True
    )
    found = (
        frame.filter(polars.col("same_customer"))
        .group_by("sensorreadingtime")
        .agg(polars.len(), polars.col("distancefromobject").sum())
        .sort("sensorreadingtime")
        .collect()
    )
    wanted = expected.execute("""
        SELECT sensorreadingtime, count(*), sum(distancefromobject) FROM machine_learning_curated
        WHERE same_customer GROUP BY 1 ORDER BY 1""").fetchall()
    assert found.rows() == wanted


def test_polars_writes(stack: Stack, bucket: str) -> None:
    frame = polars.DataFrame({"n": range(1000)})
    frame.write_parquet(f"s3://{bucket}/frame.parquet", storage_options=polars_options(stack))
    assert polars.read_parquet(f"s3://{bucket}/frame.parquet", storage_options=polars_options(stack)).equals(frame)


@pytest.fixture
def duckdb_on_s3(files: s3fs.S3FileSystem) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with s3fs, since DuckDB's own extension for S3 is not on PyPI."""
    with duckdb.connect() as con:
        con.register_filesystem(files)
        yield con


@pytest.mark.parametrize("table", TABLES)
def test_duckdb_reads_tables(
    table: str, duckdb_on_s3: duckdb.DuckDBPyConnection, stack: Stack, counts: dict[str, int]
) -> None:
    location = f"s3://{stack.bucket}/{TABLES[table].folder}/**/*.parquet"
    rows = duckdb_on_s3.execute(f"SELECT count(*) FROM read_parquet('{location}')").fetchall()
    assert rows == [(counts[table],)]


def test_duckdb_writes(duckdb_on_s3: duckdb.DuckDBPyConnection, bucket: str) -> None:
    location = f"s3://{bucket}/made.parquet"
    duckdb_on_s3.execute(f"COPY (SELECT range AS n FROM range(10000)) TO '{location}' (FORMAT parquet)")
    assert duckdb_on_s3.execute(f"SELECT sum(n) FROM '{location}'").fetchall() == [(49_995_000,)]
