//! Definitions of tables, databases and views.

use crate::lake::lake;

#[tokio::test]
async fn database_is_created() {
    let lake = lake().await;
    lake.check("CREATE DATABASE IF NOT EXISTS `my-db` COMMENT 'mine' LOCATION 's3://lake/my/'", &[]).await;
    lake.check("CREATE SCHEMA IF NOT EXISTS `my-db`", &[]).await;
    lake.check_error("CREATE SCHEMA `my-db`", "FAILED: Execution Error, return code 1").await;
    lake.check(
        "create external table if not exists `my-db`.`landing` (`a` string) row format serde
         'org.openx.data.jsonserde.JsonSerDe' with serdeproperties ('paths'='a') location 's3://lake/my/landing'",
        &[],
    )
    .await;
    lake.put("my/landing/f.json", "{\"a\":\"b\"}").await;
    lake.check("SELECT * FROM \"my-db\".landing", &["b"]).await;
    lake.check_error(
        "CREATE EXTERNAL TABLE nope.t (a int) LOCATION 's3://b/'",
        "FAILED: SemanticException [Error 10072]",
    )
    .await;
}

#[tokio::test]
async fn unknown_serde_is_refused_by_name() {
    let lake = lake().await;
    lake.check(
        "CREATE EXTERNAL TABLE csv (a int) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LOCATION 's3://lake/c/'",
        &[],
    )
    .await;
    lake.check_error("SELECT * FROM csv", "HIVE_UNSUPPORTED_FORMAT: table stedi.csv has SerDe \"org.apache.hadoop")
        .await;
}

#[tokio::test]
async fn view_is_queried_like_table() {
    let lake = lake().await;
    lake.put("customer/landing/a.json", "{\"email\":\"a@b.c\",\"serialNumber\":\"1\"}").await;
    lake.check("CREATE VIEW emails AS SELECT Email AS mail, 1 AS one FROM customer_landing", &[]).await;
    lake.check("SELECT * FROM emails", &["a@b.c|1"]).await;
    lake.check_error("CREATE VIEW emails AS SELECT 1 a", "TABLE_ALREADY_EXISTS:").await;
    lake.check(
        "CREATE OR REPLACE VIEW emails AS SELECT mail FROM (SELECT email mail FROM stedi.customer_landing)",
        &[],
    )
    .await;
    lake.check("SELECT * FROM emails", &["a@b.c"]).await;
    lake.check_error("CREATE VIEW bad AS SELECT nothing FROM customer_landing", "COLUMN_NOT_FOUND:").await;
    lake.check("CREATE OR REPLACE VIEW emails AS SELECT * FROM emails", &[]).await;
    lake.check_error("SELECT * FROM emails", "INVALID_VIEW: view stedi.emails cannot be read: views are nested more")
        .await;
    lake.check_error("DROP TABLE emails", "FAILED: SemanticException stedi.emails is a view").await;
}
