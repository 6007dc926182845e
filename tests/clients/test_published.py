"""DDL and queries in the styles of published solutions of the STEDI project, through `start_query_execution`.

All were written for this test. As in those solutions, they name buckets of their own.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stack import Stack
from up import until

# The console's form "create table from S3 data" writes this.
CONSOLE = """
CREATE EXTERNAL TABLE IF NOT EXISTS `{database}`.`{source}_landing` ({columns})
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES (
  'ignore.malformed.json' = 'FALSE',
  'dots.in.keys' = 'FALSE',
  'case.insensitive' = 'TRUE',
  'mapping' = 'TRUE'
)
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat' OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION 's3://{bucket}/{source}/landing/'
TBLPROPERTIES ('classification' = 'json');
"""

# `SHOW CREATE TABLE` and "generate table DDL" write this for a crawler's table.
CRAWLER = """CREATE EXTERNAL TABLE `{database}.{source}_landing`({columns})
ROW FORMAT SERDE \n  'org.openx.data.jsonserde.JsonSerDe' \nWITH SERDEPROPERTIES ( \n  'paths'='user,timestamp,x,y,z') \nSTORED AS INPUTFORMAT \n  'org.apache.hadoop.mapred.TextInputFormat' \nOUTPUTFORMAT \n  'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION
  's3://{bucket}/{source}/landing'
TBLPROPERTIES (
  'CRAWL_RUN_ID'='00000000-0000-0000-0000-000000000000', 
  'CrawlerSchemaDeserializerVersion'='1.0', 
  'classification'='json', 
  'compressionType'='none', 
  'typeOfData'='file')
"""

# Written by hand, as short as possible.
SHORT = """create external table if not exists {database}.{source}_landing ({columns})
row format serde 'org.openx.data.jsonserde.JsonSerDe'
location 's3://{bucket}/{source}/landing/'"""

# Written by hand, with comments everywhere and double quotes.
COMMENTED = """-- Landing zone: {source}
-- Rows as they came; see s3://{bucket}/{source}/landing/
CREATE EXTERNAL TABLE {database}.{source}_landing ( -- raw
{columns}
)
COMMENT "landing zone of {source}; unfiltered"
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ("serialization.format" = "1") -- the default
STORED AS TEXTFILE
LOCATION 's3://{bucket}/{source}/landing/'
TBLPROPERTIES ('has_encrypted_data'='false', 'classification' = 'json')
;
"""

# With the other SerDe that Athena has for JSON.
HCATALOG = """CREATE EXTERNAL TABLE `{source}_landing` ({columns})
ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe'
LOCATION 's3://{bucket}/{source}/landing/';"""

COLUMNS = {
    "as the files have them": {
        "customer": """
            `customerName` string, `email` string, `phone` string, `birthDay` string, `serialNumber` string,
            `registrationDate` bigint, `lastUpdateDate` bigint, `shareWithResearchAsOfDate` bigint,
            `shareWithPublicAsOfDate` bigint, `shareWithFriendsAsOfDate` bigint""",
        "accelerometer": "`user` string, `timeStamp` bigint, `x` double, `y` double, `z` double",
        "step_trainer": "`sensorReadingTime` bigint, `serialNumber` string, `distanceFromObject` int",
    },
    "as a crawler names them": {
        "customer": """
            `customername` string COMMENT 'from deserializer',
            `email` string COMMENT 'from deserializer',
            `phone` string COMMENT 'from deserializer',
            `birthday` string COMMENT 'from deserializer',
            `serialnumber` string COMMENT 'from deserializer',
            `registrationdate` bigint COMMENT 'from deserializer',
            `lastupdatedate` bigint COMMENT 'from deserializer',
            `sharewithresearchasofdate` bigint COMMENT 'from deserializer',
            `sharewithpublicasofdate` bigint COMMENT 'from deserializer'""",
        "accelerometer": """
            `user` string COMMENT 'from deserializer', \n            `timestamp` bigint COMMENT 'from deserializer', \n            `x` float COMMENT 'from deserializer', \n            `y` float COMMENT 'from deserializer',
            `z` float COMMENT 'from deserializer'""",
        "step_trainer": """
            `sensorreadingtime` bigint COMMENT 'from deserializer',
            `serialnumber` string COMMENT 'from deserializer',
            `distancefromobject` int COMMENT 'from deserializer'""",
    },
    "all of them text": {
        "customer": """
            customerName STRING, email STRING, phone STRING, birthDay STRING, serialNumber STRING,
            registrationDate STRING, lastUpdateDate STRING, shareWithResearchAsOfDate STRING,
            shareWithPublicAsOfDate STRING, shareWithFriendsAsOfDate STRING""",
        "accelerometer": "`user` STRING, `timestamp` STRING, x STRING, y STRING, z STRING",
        "step_trainer": "sensorReadingTime STRING, serialNumber STRING, distanceFromObject STRING",
    },
}
FORMS = {
    "console": (CONSOLE, "as the files have them"),
    "crawler": (CRAWLER, "as a crawler names them"),
    "short": (SHORT, "as the files have them"),
    "short, text": (SHORT, "all of them text"),
    "commented": (COMMENTED, "all of them text"),
    "hcatalog": (HCATALOG, "as a crawler names them"),
}

# Those solutions show pictures of these counts.
COUNTS = {
    "SELECT COUNT(*) FROM {database}.customer_landing;": "customer_landing",
    'SELECT count(*) as "row count" FROM "{database}"."accelerometer_landing"': "accelerometer_landing",
    'select count(1) AS total_rows\nfrom "AwsDataCatalog"."{database}"."step_trainer_landing";\n': "step_trainer_landing",
}


class Query:
    """Runs queries in one database, as the console does."""

    def __init__(self, stack: Stack, database: str):
        self.stack, self.database = stack, database
        self.client = stack.client("athena")
        self.s3 = stack.client("s3")

    def __call__(self, sql: str) -> list[tuple[str | None, ...]]:
        """Runs a query and returns its rows, without the header."""
        context = {"Catalog": "AwsDataCatalog", "Database": self.database}
        started = self.client.start_query_execution(QueryString=sql, QueryExecutionContext=context)["QueryExecutionId"]
        found: dict[str, Any] = {}

        def ended() -> bool:
            found.update(self.client.get_query_execution(QueryExecutionId=started)["QueryExecution"])
            return found["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED")

        until(ended, sql)
        assert found["Status"]["State"] == "SUCCEEDED", (sql, found["Status"])
        pages = self.client.get_paginator("get_query_results").paginate(QueryExecutionId=started)
        rows = [row for page in pages for row in page["ResultSet"]["Rows"]]
        texts = [tuple(column.get("VarCharValue") for column in row["Data"]) for row in rows]
        return texts[1:] if found["StatementType"] == "DML" else texts


@pytest.fixture
def query(stack: Stack, bucket: str, landing: Path) -> Iterator[Query]:
    """A database of the test, and a bucket with the landing files."""
    s3 = stack.client("s3")
    for path in landing.glob("*/landing/*"):
        key = path.relative_to(landing).as_posix()
        s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": stack.bucket, "Key": key})
    database = bucket.replace("-", "_")
    Query(stack, "default")(f"CREATE DATABASE IF NOT EXISTS {database} COMMENT 'of a solution'")
    query = Query(stack, database)
    yield query
    query(f"DROP DATABASE {database} CASCADE")


@pytest.mark.parametrize("form", FORMS)
def test_landing_tables_have_all_rows(
    form: str, query: Query, bucket: str, expected: duckdb.DuckDBPyConnection
) -> None:
    template, columns = FORMS[form]
    for source, named in COLUMNS[columns].items():
        query(template.format(database=query.database, bucket=bucket, source=source, columns=named))
    for sql, table in COUNTS.items():
        rows = expected.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
        assert query(sql.format(database=query.database)) == [(str(rows),)]
    consenting = "SELECT count(*) FROM customer_landing WHERE shareWithResearchAsOfDate IS NOT NULL"
    assert query(consenting) == [(str(expected.execute(consenting).fetchall()[0][0]),)]
    blank = "SELECT * FROM customer_landing WHERE sharewithresearchasofdate is null LIMIT 10;"
    assert len(query(blank)) == 10
    joined = """
        SELECT count(DISTINCT a.user), round(sum(CAST(x AS double)), 1) FROM accelerometer_landing a
        JOIN customer_landing c ON a.user = c.email WHERE c.sharewithresearchasofdate IS NOT NULL"""
    people, total = query(joined)[0]
    wanted = expected.execute(joined.replace("a.user", 'a."user"')).fetchall()[0]
    assert int(people) == wanted[0]
    assert float(total) == pytest.approx(wanted[1], rel=1e-5)
    made = query(f"SHOW CREATE TABLE {query.database}.accelerometer_landing")
    text = "\n".join(row[0] or "" for row in made)
    assert re.search(rf"s3://{bucket}/accelerometer/landing", text)
    query("DROP TABLE IF EXISTS accelerometer_landing")
    assert ("accelerometer_landing",) not in query("SHOW TABLES")
    # DROP TABLE removes the table's name; the files stay.
    assert query.s3.list_objects_v2(Bucket=bucket, Prefix="accelerometer/landing/")["KeyCount"] > 0


def test_repair_registers_partitions(query: Query, stack: Stack, bucket: str) -> None:
    for day, hour, lines in (("2024-05-13", "07", 3), ("2024-05-13", "08", 2), ("2024-05-14", "07", 1)):
        body = "".join(f'{{"sensorReadingTime": {line}, "distanceFromObject": 200}}\n' for line in range(lines))
        stack.client("s3").put_object(Bucket=bucket, Key=f"steps/dt={day}/hour={hour}/a.json", Body=body.encode())
    query(f"""
        CREATE EXTERNAL TABLE steps (sensorReadingTime bigint, serialNumber string, distanceFromObject int)
        PARTITIONED BY (dt string, `hour` string)
        ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
        LOCATION 's3://{bucket}/steps/'""")
    assert query("SELECT count(*) FROM steps") == [("0",)]
    assert query("SHOW PARTITIONS steps") == []
    answer = "\n".join(row[0] or "" for row in query("MSCK REPAIR TABLE steps;"))
    assert "dt=2024-05-14/hour=07" in answer
    wanted = ["dt=2024-05-13/hour=07", "dt=2024-05-13/hour=08", "dt=2024-05-14/hour=07"]
    assert sorted(row[0] or "" for row in query("SHOW PARTITIONS steps")) == wanted
    assert query("SELECT dt, count(*) FROM steps GROUP BY dt ORDER BY dt") == [("2024-05-13", "5"), ("2024-05-14", "1")]
    # A second repair changes nothing.
    query("MSCK REPAIR TABLE steps")
    assert query("SELECT count(*) FROM steps WHERE hour = '07'") == [("4",)]
    query("ALTER TABLE steps DROP PARTITION (dt = '2024-05-14', hour = '07')")
    assert query("SELECT count(*) FROM steps") == [("5",)]
    location = f"s3://{bucket}/steps/dt=2024-05-14/hour=07/"
    query(f"ALTER TABLE steps ADD IF NOT EXISTS PARTITION (dt = '2030-01-01', hour = '00') LOCATION '{location}'")
    assert query("SELECT dt, hour, count(*) FROM steps WHERE dt > '2025' GROUP BY 1, 2") == [("2030-01-01", "00", "1")]


def test_queries_make_trusted_tables(query: Query, bucket: str, expected: duckdb.DuckDBPyConnection) -> None:
    """Some solutions make their trusted zone in Athena."""
    for source, named in COLUMNS["as the files have them"].items():
        query(CONSOLE.format(database=query.database, bucket=bucket, source=source, columns=named))
    query(f"""
        CREATE TABLE customer_trusted
        WITH (format = 'PARQUET', write_compression = 'SNAPPY', external_location = 's3://{bucket}/made/customer/') AS
        SELECT * FROM customer_landing WHERE shareWithResearchAsOfDate IS NOT NULL;""")
    query(f"""
        CREATE TABLE {query.database}.accelerometer_trusted
        WITH (format = 'PARQUET', external_location = 's3://{bucket}/made/accelerometer/', partitioned_by = ARRAY['day'])
        AS SELECT a.user, a.timestamp, a.x, a.y, a.z, date_format(from_unixtime(a.timestamp / 1000), '%Y-%m-%d') AS day
        FROM accelerometer_landing a JOIN (SELECT DISTINCT email FROM customer_trusted) c ON a.user = c.email""")
    wanted = expected.execute("""
        SELECT count(*), strftime(epoch_ms(min(a."timestamp")), '%Y-%m-%d') FROM accelerometer_landing a
        WHERE a."user" IN (SELECT email FROM customer_landing WHERE sharewithresearchasofdate IS NOT NULL)""").fetchall()[
        0
    ]
    assert query("SELECT count(*), min(day) FROM accelerometer_trusted") == [(str(wanted[0]), wanted[1])]
    partitions = [row[0] for row in query("SHOW PARTITIONS accelerometer_trusted")]
    assert f"day={wanted[1]}" in partitions
    made = query.s3.list_objects_v2(Bucket=bucket, Prefix="made/accelerometer/")["Contents"]
    assert {found["Key"].split("/")[2] for found in made} == set(partitions)
