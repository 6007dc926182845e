//! Tables and objects that the caller protects.

use crate::lake::protected_lake;

#[tokio::test]
async fn write_among_protected_objects_is_refused() {
    let lake = protected_lake().await;
    for sql in [
        "INSERT INTO accelerometer_trusted SELECT * FROM accelerometer_trusted",
        "CREATE TABLE t WITH (external_location = 's3://lake/accelerometer/trusted/more/') AS SELECT 1 a",
        "CREATE TABLE t WITH (external_location = 's3://lake/_state') AS SELECT 1 a",
        "UNLOAD (SELECT 1 a) TO 's3://lake/accelerometer' WITH (format = 'PARQUET')",
        "UNLOAD (SELECT 1 a) TO 's3://lake/customer/landing/' WITH (format = 'PARQUET')",
    ] {
        lake.check_error(sql, "PERMISSION_DENIED: cannot write to s3://lake/").await;
    }
    lake.check_error("INSERT INTO customer_landing SELECT * FROM customer_landing", "NOT_SUPPORTED:").await;
    lake.check(
        "CREATE EXTERNAL TABLE alias (x double) STORED AS PARQUET LOCATION 's3://lake/accelerometer/trusted/'",
        &[],
    )
    .await;
    lake.check_error("INSERT INTO alias SELECT 1e0", "PERMISSION_DENIED:").await;
}

#[tokio::test]
async fn drop_and_alter_of_protected_table_are_refused() {
    let lake = protected_lake().await;
    for sql in [
        "DROP TABLE accelerometer_trusted",
        "DROP TABLE IF EXISTS `stedi.Accelerometer_Trusted`",
        "ALTER TABLE accelerometer_trusted ADD COLUMNS (more string)",
        "ALTER TABLE accelerometer_trusted SET LOCATION 's3://lake/other/'",
        "ALTER TABLE accelerometer_trusted SET TBLPROPERTIES ('a' = 'b')",
        "ALTER TABLE accelerometer_trusted ADD PARTITION (dt = '2022-06-18', hour = '14')",
        "ALTER TABLE accelerometer_trusted DROP PARTITION (dt = '2022-06-18', hour = '14')",
    ] {
        let message = "PERMISSION_DENIED: cannot change table stedi.accelerometer_trusted: make a table of your own";
        lake.check_error(sql, message).await;
    }
    let message = "PERMISSION_DENIED: cannot drop database stedi: make a table of your own";
    lake.check_error("DROP DATABASE stedi CASCADE", message).await;
    lake.check_error("DROP SCHEMA IF EXISTS Stedi", message).await;
    lake.check("SHOW TABLES 'accelerometer_t*'", &["accelerometer_trusted"]).await;
}

#[tokio::test]
async fn other_tables_can_be_dropped_and_altered() {
    let lake = protected_lake().await;
    lake.check("ALTER TABLE customer_trusted SET TBLPROPERTIES ('a' = 'b')", &[]).await;
    lake.check("DROP TABLE customer_trusted", &[]).await;
    lake.check("CREATE DATABASE mine", &[]).await;
    lake.check("CREATE EXTERNAL TABLE mine.customer_landing (a int) STORED AS PARQUET LOCATION 's3://lake/mine/'", &[])
        .await;
    lake.check("DROP DATABASE mine CASCADE", &[]).await;
}

#[tokio::test]
async fn repair_registers_partitions_of_protected_table() {
    let lake = protected_lake().await;
    lake.put("accelerometer/trusted/dt=2022-06-18/hour=14/f.parquet", "x").await;
    lake.ask("MSCK REPAIR TABLE accelerometer_trusted").await.unwrap();
    lake.check("SHOW PARTITIONS accelerometer_trusted", &["dt=2022-06-18/hour=14"]).await;
}
