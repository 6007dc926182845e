//! Names in any case and in all quotes.

use crate::lake::lake;

const LINE: &str = r#"{"user":"a@b.c","timeStamp":1655560800000,"x":1.0,"y":-0.5,"z":2}"#;

#[tokio::test]
async fn names_match_in_any_case() {
    let lake = lake().await;
    lake.put("accelerometer/landing/a.json", format!("{LINE}\n")).await;
    for sql in [
        "SELECT user, timestamp FROM accelerometer_landing",
        r#"SELECT "user", "timestamp" FROM "stedi"."accelerometer_landing""#,
        r#"SELECT "User", "timeStamp" FROM AwsDataCatalog.stedi.Accelerometer_Landing"#,
        r#"SELECT A."user", a.TIMESTAMP FROM "AwsDataCatalog"."Stedi"."accelerometer_landing" a"#,
    ] {
        lake.check(sql, &["a@b.c|1655560800000"]).await;
    }
    lake.check_names(
        r#"SELECT "User", x + y, z AS Height, x, x, count(*) OVER () FROM accelerometer_landing"#,
        &["user", "_col1", "Height", "x", "x", "_col5"],
    )
    .await;
    lake.check_names("SELECT *, 1 FROM accelerometer_landing", &["user", "timestamp", "x", "y", "z", "_col5"]).await;
    lake.check_names("SELECT l.x, r.x FROM accelerometer_landing l, accelerometer_landing r", &["x", "x"]).await;
    lake.check(r#"SELECT "$path" FROM accelerometer_landing"#, &["s3://lake/accelerometer/landing/a.json"]).await;
    lake.check_names(r#"SELECT *, "$path" FROM accelerometer_landing"#, &["user", "timestamp", "x", "y", "z", "$path"])
        .await;
}

#[tokio::test]
async fn catalog_describes_tables() {
    let lake = lake().await;
    let landing = ["accelerometer_landing", "customer_landing", "step_trainer_landing"];
    lake.check("SHOW TABLES IN `stedi` '*_landing'", &landing).await;
    let columns = ["sensorreadingtime   ", "serialnumber        ", "distancefromobject  "];
    lake.check("SHOW COLUMNS IN step_trainer_landing", &columns).await;
    let (_, lines) = lake.ask("SHOW CREATE TABLE step_trainer_landing").await.unwrap();
    let text = lines.join("\n");
    let start = "CREATE EXTERNAL TABLE `stedi.step_trainer_landing`(\n  `sensorreadingtime` bigint";
    assert!(text.starts_with(start), "{text}");
    // The statement creates the same table.
    lake.check(&text.replace("step_trainer_landing`", "again`"), &[]).await;
    let again = lake.ask("SHOW CREATE TABLE again").await.unwrap().1.join("\n");
    assert_eq!(again.replace("again`", "step_trainer_landing`"), text);
    let (_, lines) = lake.ask("DESCRIBE accelerometer_trusted").await.unwrap();
    assert_eq!(lines[0].split('\t').map(str::trim).take(2).collect::<Vec<_>>(), ["user", "string"]);
    lake.check_error("SHOW PARTITIONS customer_landing", "FAILED: Execution Error").await;
    let missing = "FAILED: SemanticException [Error 10001]: Table not found stedi.nothing";
    lake.check_error("DESCRIBE nothing", missing).await;
}
