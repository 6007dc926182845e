//! JSON lines and the parameters of their SerDe.

use crate::lake::{Lake, lake};
use std::io::Write;

async fn define(lake: &Lake, columns: &str, properties: &str) {
    define_as(lake, "t", columns, properties).await;
}

/// Another table over the same files.
async fn define_as(lake: &Lake, name: &str, columns: &str, properties: &str) {
    let with = if properties.is_empty() { String::new() } else { format!("WITH SERDEPROPERTIES ({properties})") };
    let sql = format!(
        "CREATE EXTERNAL TABLE {name} ({columns}) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' {with}
         LOCATION 's3://lake/t'"
    );
    lake.check(&sql, &[]).await;
}

#[tokio::test]
async fn each_line_is_one_row() {
    let lake = lake().await;
    define(&lake, "a bigint, b string", "").await;
    lake.put(
        "t/lines.json",
        "{\"A\":1,\"b\":\"x\",\"c\":[1]}\r\n\n{\"b\":null}\n{\"a\":\"2\",\"B\":3.50}{\"a\":9}\n[5,\"array\"]\nplain",
    )
    .await;
    lake.check("SELECT a, b FROM t", &["1|x", "∅|∅", "∅|∅", "2|3.50", "5|array", "∅|∅"]).await;
    lake.check("SELECT count(*) FROM t", &["6"]).await;
    lake.check("SELECT b FROM t WHERE a > 1 ORDER BY a DESC LIMIT 1", &["array"]).await;
}

#[tokio::test]
async fn hidden_and_empty_files_are_skipped() {
    let lake = lake().await;
    define(&lake, "a bigint", "").await;
    for key in ["t/a", "t/sub/b", "t/_c", "t/.d", "t/_temporary/e", "t2/f"] {
        lake.put(key, "{\"a\":1}").await;
    }
    lake.put("t/empty", "").await;
    lake.check("SELECT count(*) FROM t", &["2"]).await;
}

#[tokio::test]
async fn compressed_files_are_read() {
    let lake = lake().await;
    define(&lake, "a bigint", "").await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"{\"a\":1}\n{\"a\":2}\n").unwrap();
    lake.put("t/a.json.gz", gzip.finish().unwrap()).await;
    lake.put("t/a.json.zst", zstd::encode_all(&b"{\"a\":3}"[..], 1).unwrap()).await;
    lake.check("SELECT sum(a) FROM t", &["6"]).await;
    lake.put("t/b.gz", "no gzip").await;
    lake.check_error("SELECT sum(a) FROM t", "HIVE_CURSOR_ERROR: Failed to read file: s3://lake/t/b.gz").await;
}

#[tokio::test]
async fn malformed_line_fails_unless_ignored() {
    let lake = lake().await;
    define(&lake, "a bigint", "").await;
    lake.put("t/a", "{\"a\":1}\n{\"a\":\n").await;
    lake.check_error("SELECT * FROM t", "HIVE_CURSOR_ERROR: Row is not a valid JSON Object - JSONException:").await;
    define_as(&lake, "patient", "a bigint", "'ignore.malformed.json' = 'TRUE'").await;
    lake.check("SELECT a FROM patient", &["1", "∅"]).await;
    lake.put("t/b", "{\"a\":\"x\"}").await;
    lake.check_error("SELECT a FROM patient", "HIVE_BAD_DATA: Error parsing field value 'x' for field 0: For input")
        .await;
    lake.check("SELECT count(*) FROM patient", &["3"]).await;
}

#[tokio::test]
async fn serde_parameters_map_keys() {
    let lake = lake().await;
    define(&lake, "a bigint, ts string, x_y int", "'mapping.ts' = 'timeStamp', 'dots.in.keys' = 'true'").await;
    lake.put("t/a", "{\"a\":1,\"TIMESTAMP\":5,\"x.y\":3}").await;
    lake.check("SELECT * FROM t", &["1|5|3"]).await;
    define_as(&lake, "exact", "a bigint, b bigint", "'case.insensitive' = 'false', 'mapping.b' = 'B'").await;
    lake.put("t/b", "{\"A\":7,\"B\":8}").await;
    lake.check("SELECT a, b FROM exact ORDER BY a", &["1|∅", "∅|8"]).await;
}

#[tokio::test]
async fn nested_values_are_read() {
    let lake = lake().await;
    define(&lake, "s struct<a:int,b:array<double>>, m map<string,bigint>, d date, f float", "").await;
    lake.put("t/a", r#"{"s":{"a":1,"B":[1,2.5]},"m":{"k":9},"d":"1600-01-01","f":0.1}"#).await;
    lake.check("SELECT * FROM t", &["{a=1, b=[1.0, 2.5]}|{k=9}|1600-01-01|0.1"]).await;
    lake.check("SELECT s.a, s.b[2], m['k'] FROM t", &["1|2.5|9"]).await;
}
