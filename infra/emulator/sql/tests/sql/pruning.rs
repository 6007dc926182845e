//! Registered partitions, and the files that a query reads.

use crate::lake::{Lake, lake};
use datafusion::arrow::array::{Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use std::sync::Arc;

fn readings(times: &[i64]) -> Vec<u8> {
    // Another writer may name and order the columns differently.
    let fields = vec![
        Field::new("Extra", DataType::Int32, true),
        Field::new("User", DataType::Utf8, true),
        Field::new("timeStamp", DataType::Int64, true),
        Field::new("x", DataType::Float64, true),
    ];
    let schema = Arc::new(Schema::new(fields));
    let count = times.len();
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            Arc::new(Int32Array::from(vec![0; count])),
            Arc::new(StringArray::from(vec!["a@b.c"; count])),
            Arc::new(Int64Array::from(times.to_vec())),
            Arc::new(Float64Array::from(vec![0.5; count])),
        ],
    )
    .unwrap();
    parquet(&batch)
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    file
}

async fn partitioned() -> Lake {
    let lake = lake().await;
    for (dt, hour, time) in [("2022-06-18", "14", 1), ("2022-06-18", "15", 2), ("2022-06-19", "00", 3)] {
        lake.put(&format!("accelerometer/trusted/dt={dt}/hour={hour}/f.parquet"), readings(&[time, 10 * time])).await;
    }
    lake
}

#[tokio::test]
async fn unregistered_partition_is_invisible() {
    let lake = partitioned().await;
    let repaired = [
        "Partitions not in metastore:\taccelerometer_trusted:dt=2022-06-18/hour=14\taccelerometer_trusted:dt=2022-06-19/hour=00",
        "Repair: Added partition to metastore accelerometer_trusted:dt=2022-06-18/hour=14",
        "Repair: Added partition to metastore accelerometer_trusted:dt=2022-06-19/hour=00",
    ];
    let partitions = ["dt=2022-06-18/hour=14", "dt=2022-06-18/hour=15", "dt=2022-06-19/hour=00"];
    let rows = ["2|2022-06-18|15", "20|2022-06-18|15"];
    let count = "SELECT count(*) FROM accelerometer_trusted";
    lake.check_all(&[
        (count, Ok(&["0"])),
        ("ALTER TABLE accelerometer_trusted ADD PARTITION (dt='2022-06-18', hour='15')", Ok(&[])),
        ("SELECT \"timestamp\", dt, hour FROM accelerometer_trusted", Ok(&rows)),
        ("MSCK REPAIR TABLE accelerometer_trusted", Ok(&repaired)),
        ("MSCK REPAIR TABLE accelerometer_trusted", Ok(&[])),
        ("SHOW PARTITIONS accelerometer_trusted", Ok(&partitions)),
        ("SELECT hour FROM \"accelerometer_trusted$partitions\" ORDER BY 1", Ok(&["00", "14", "15"])),
        (count, Ok(&["6"])),
        ("ALTER TABLE accelerometer_trusted DROP PARTITION (dt='2022-06-18', hour='14')", Ok(&[])),
        (count, Ok(&["4"])),
        // A registered partition without files is empty, at any location.
        ("ALTER TABLE accelerometer_trusted ADD PARTITION (dt='x', hour='y') LOCATION 's3://lake/none/'", Ok(&[])),
        (count, Ok(&["4"])),
        (
            "ALTER TABLE accelerometer_trusted ADD PARTITION (dt='x', hour='y')",
            Err("FAILED: Execution Error, return code 1"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn partitions_that_cannot_match_are_not_listed() {
    let lake = partitioned().await;
    lake.check("CREATE VIEW v AS SELECT dt, hour, \"timestamp\" t FROM accelerometer_trusted", &[]).await;
    lake.ask("MSCK REPAIR TABLE accelerometer_trusted").await.unwrap();
    for (sql, expected, partitions) in [
        ("SELECT count(*) FROM accelerometer_trusted WHERE dt = '2022-06-18'", "4", 2),
        ("SELECT count(*) FROM accelerometer_trusted WHERE dt = '2022-06-18' AND hour >= '15'", "2", 1),
        ("SELECT count(*) FROM accelerometer_trusted WHERE dt LIKE '%-19' OR hour = '14'", "4", 2),
        ("SELECT count(*) FROM accelerometer_trusted WHERE CAST(hour AS integer) BETWEEN 14 AND 20", "4", 2),
        ("SELECT max(\"timestamp\") FROM accelerometer_trusted WHERE dt > '2023'", "∅", 0),
        ("SELECT count(*) FROM v WHERE dt IN ('2022-06-19')", "2", 1),
    ] {
        let before = lake.cloud.requests();
        lake.check(sql, &[expected]).await;
        let after = lake.cloud.requests();
        assert_eq!((after.list - before.list, after.get - before.get), (partitions, partitions), "{sql}");
    }
    let (_, plan) = lake.ask("EXPLAIN SELECT x FROM accelerometer_trusted WHERE dt = '2022-06-19'").await.unwrap();
    let plan = plan.join("\n");
    assert!(plan.contains("dt=2022-06-19/hour=00") && !plan.contains("2022-06-18"), "{plan}");
}

#[tokio::test]
async fn parquet_columns_match_by_name_and_type() {
    let lake = partitioned().await;
    lake.ask("MSCK REPAIR TABLE accelerometer_trusted").await.unwrap();
    let late = "SELECT \"user\", \"timestamp\", x, y FROM accelerometer_trusted WHERE \"timestamp\" > 20";
    let wrong = "CREATE EXTERNAL TABLE wrong (x bigint, extra bigint, y double) STORED AS PARQUET
                 LOCATION 's3://lake/accelerometer/trusted/'";
    lake.check_all(&[
        (late, Ok(&["a@b.c|30|0.5|∅"])),
        (wrong, Ok(&[])),
        ("SELECT count(*), count(y) FROM wrong", Ok(&["6|0"])),
        ("SELECT x FROM wrong", Err("HIVE_BAD_DATA: Field x's type DOUBLE in parquet file s3://lake/acc")),
        ("SELECT max(extra) FROM wrong", Err("HIVE_BAD_DATA: Field extra's type INT32 in parquet")),
    ])
    .await;
    lake.put("accelerometer/trusted/dt=2022-06-18/hour=14/g.parquet", "no parquet at all").await;
    lake.check_error("SELECT x FROM accelerometer_trusted", "HIVE_BAD_DATA: Not valid Parquet file: s3://lake/").await;
}

#[tokio::test]
async fn partition_keys_have_types() {
    let lake = lake().await;
    lake.check(
        "CREATE EXTERNAL TABLE typed (a int) PARTITIONED BY (y int, d date)
         ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://lake/typed/'",
        &[],
    )
    .await;
    lake.put("typed/y=9/d=2022-06-18/f", "{\"a\":1}").await;
    lake.put("typed/y=10/d=2022-06-19/f", "{\"a\":2}").await;
    lake.ask("MSCK REPAIR TABLE typed").await.unwrap();
    lake.check("SELECT a, y, d FROM typed WHERE y > 9", &["2|10|2022-06-19"]).await;
    lake.check("SELECT a FROM typed WHERE d < date '2022-06-19'", &["1"]).await;
}
