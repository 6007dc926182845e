//! DROP, and the metadata of all databases.

use crate::lake::lake;

#[tokio::test]
async fn information_schema_covers_all_databases() {
    let lake = lake().await;
    lake.check("CREATE DATABASE other", &[]).await;
    lake.check("SHOW DATABASES", &["other", "stedi"]).await;
    lake.check("SHOW SCHEMAS LIKE 'st*'", &["stedi"]).await;
    lake.check(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'stedi' AND table_name LIKE 'step%' ORDER BY 1",
        &["step_trainer_landing", "step_trainer_trusted"],
    )
    .await;
    lake.check(
        "SELECT column_name, data_type, extra_info FROM information_schema.columns
         WHERE table_name = 'accelerometer_trusted' ORDER BY ordinal_position",
        &[
            "user|varchar|∅",
            "timestamp|bigint|∅",
            "x|double|∅",
            "y|double|∅",
            "z|double|∅",
            "dt|varchar|partition key",
            "hour|varchar|partition key",
        ],
    )
    .await;
}

#[tokio::test]
async fn dropped_table_and_view_are_gone() {
    let lake = lake().await;
    lake.check("CREATE DATABASE mine", &[]).await;
    lake.check("CREATE EXTERNAL TABLE mine.t (a int) STORED AS PARQUET LOCATION 's3://lake/mine/'", &[]).await;
    lake.check("CREATE VIEW v AS SELECT 1 a", &[]).await;
    lake.check_error("DROP DATABASE mine", "FAILED: Execution Error").await;
    lake.check("DROP TABLE IF EXISTS mine.t", &[]).await;
    lake.check("DROP TABLE IF EXISTS mine.t", &[]).await;
    lake.check_error("DROP TABLE mine.t", "FAILED: SemanticException [Error 10001]: Table not found mine.t").await;
    lake.check("DROP DATABASE mine", &[]).await;
    lake.check_error("SELECT 1 FROM mine.t", "SCHEMA_NOT_FOUND:").await;
    lake.check("DROP VIEW v", &[]).await;
    lake.check_error("SELECT * FROM v", "TABLE_NOT_FOUND:").await;
}
