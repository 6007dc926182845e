//! Definitions of tables, databases and views.

use crate::lake::lake;

#[tokio::test]
async fn database_is_created() {
    let lake = lake().await;
    lake.put("my/landing/f.json", "{\"a\":\"b\"}").await;
    let table = "create external table if not exists `my-db`.`landing` (`a` string) row format serde
                 'org.openx.data.jsonserde.JsonSerDe' with serdeproperties ('paths'='a') location 's3://lake/my/landing'";
    lake.check_all(&[
        ("CREATE DATABASE IF NOT EXISTS `my-db` COMMENT 'mine' LOCATION 's3://lake/my/'", Ok(&[])),
        ("CREATE SCHEMA IF NOT EXISTS `my-db`", Ok(&[])),
        ("CREATE SCHEMA `my-db`", Err("FAILED: Execution Error, return code 1")),
        (table, Ok(&[])),
        ("SELECT * FROM \"my-db\".landing", Ok(&["b"])),
        ("CREATE EXTERNAL TABLE nope.t (a int) LOCATION 's3://b/'", Err("FAILED: SemanticException [Error 10072]")),
    ])
    .await;
}

#[tokio::test]
async fn unknown_serde_is_refused_by_name() {
    let csv = "CREATE EXTERNAL TABLE csv (a int) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LOCATION 's3://lake/c/'";
    let error = "HIVE_UNSUPPORTED_FORMAT: table stedi.csv has SerDe \"org.apache.hadoop";
    lake().await.check_all(&[(csv, Ok(&[])), ("SELECT * FROM csv", Err(error))]).await;
}

#[tokio::test]
async fn view_is_queried_like_table() {
    let lake = lake().await;
    lake.put("customer/landing/a.json", "{\"email\":\"a@b.c\",\"serialNumber\":\"1\"}").await;
    let nested = "CREATE OR REPLACE VIEW emails AS SELECT mail FROM (SELECT email mail FROM stedi.customer_landing)";
    let too_deep = "INVALID_VIEW: view stedi.emails cannot be read: views are nested more";
    lake.check_all(&[
        ("CREATE VIEW emails AS SELECT Email AS mail, 1 AS one FROM customer_landing", Ok(&[])),
        ("SELECT * FROM emails", Ok(&["a@b.c|1"])),
        ("CREATE VIEW emails AS SELECT 1 a", Err("TABLE_ALREADY_EXISTS:")),
        (nested, Ok(&[])),
        ("SELECT * FROM emails", Ok(&["a@b.c"])),
        ("CREATE VIEW bad AS SELECT nothing FROM customer_landing", Err("COLUMN_NOT_FOUND:")),
        ("CREATE OR REPLACE VIEW emails AS SELECT * FROM emails", Ok(&[])),
        ("SELECT * FROM emails", Err(too_deep)),
        ("DROP TABLE emails", Err("FAILED: SemanticException stedi.emails is a view")),
    ])
    .await;
}
