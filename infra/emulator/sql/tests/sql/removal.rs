//! DROP, and the metadata of all databases.

use crate::lake::lake;

#[tokio::test]
async fn information_schema_covers_all_databases() {
    let lake = lake().await;
    lake.check("CREATE DATABASE other", &[]).await;
    lake.check("SHOW DATABASES", &["other", "stedi"]).await;
    lake.check("SHOW SCHEMAS LIKE 'st*'", &["stedi"]).await;
    let tables = "SELECT table_name FROM information_schema.tables
                  WHERE table_schema = 'stedi' AND table_name LIKE 'step%' ORDER BY 1";
    lake.check(tables, &["step_trainer_landing", "step_trainer_trusted"]).await;
    let columns = "SELECT column_name, data_type, extra_info FROM information_schema.columns
                   WHERE table_name = 'accelerometer_trusted' ORDER BY ordinal_position";
    let expected = [
        "user|varchar|∅",
        "timestamp|bigint|∅",
        "x|double|∅",
        "y|double|∅",
        "z|double|∅",
        "dt|varchar|partition key",
        "hour|varchar|partition key",
    ];
    lake.check(columns, &expected).await;
}

#[tokio::test]
async fn dropped_table_and_view_are_gone() {
    let lake = lake().await;
    lake.check_all(&[
        ("CREATE DATABASE mine", Ok(&[])),
        ("CREATE EXTERNAL TABLE mine.t (a int) STORED AS PARQUET LOCATION 's3://lake/mine/'", Ok(&[])),
        ("CREATE VIEW v AS SELECT 1 a", Ok(&[])),
        ("DROP DATABASE mine", Err("FAILED: Execution Error")),
        ("DROP TABLE IF EXISTS mine.t", Ok(&[])),
        ("DROP TABLE IF EXISTS mine.t", Ok(&[])),
        ("DROP TABLE mine.t", Err("FAILED: SemanticException [Error 10001]: Table not found mine.t")),
        ("DROP DATABASE mine", Ok(&[])),
        ("SELECT 1 FROM mine.t", Err("SCHEMA_NOT_FOUND:")),
        ("DROP VIEW v", Ok(&[])),
        ("SELECT * FROM v", Err("TABLE_NOT_FOUND:")),
    ])
    .await;
}
