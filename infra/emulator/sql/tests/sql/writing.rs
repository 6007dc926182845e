//! Statements that write rows.

use crate::lake::{lake, lake_with};
use emulator_sql::Limits;
use emulator_sql::output::{Format, write};

#[tokio::test]
async fn create_table_as_writes_rows() {
    let lake = lake().await;
    let sql = "CREATE TABLE \"stedi\".\"temp_table_1\" WITH (external_location = 's3://lake/temp/1',
               format = 'PARQUET', write_compression = 'SNAPPY')
               AS SELECT 1 AS a, 'x' AS B, timestamp '2022-06-18 14:00:00' AS t, ARRAY[1, NULL] AS l";
    let answer = lake.answer(sql).await.unwrap();
    assert_eq!(answer.update_count, Some(1));
    assert_eq!(answer.written.len(), 1);
    assert!(answer.written[0].key.starts_with("temp/1/11112222_"), "{:?}", answer.written);
    lake.check("SELECT * FROM temp_table_1", &["1|x|2022-06-18 14:00:00.000|[1, null]"]).await;
    lake.check_error(sql, "TABLE_ALREADY_EXISTS:").await;
    lake.check_error(&sql.replace("temp_table_1", "temp_table_2"), "HIVE_PATH_ALREADY_EXISTS:").await;
    lake.check_error("CREATE TABLE t AS SELECT 1", "MISSING_COLUMN_NAME:").await;
    lake.check_error("CREATE TABLE t WITH (format='ORC') AS SELECT 1 a", "NOT_SUPPORTED: format ORC").await;
    lake.check_error("CREATE TABLE t WITH (frobs=1) AS SELECT 1 a", "INVALID_TABLE_PROPERTY:").await;
}

#[tokio::test]
async fn partitions_are_written_and_registered() {
    let lake = lake().await;
    let sql = "CREATE TABLE parts WITH (partitioned_by = ARRAY['p']) AS
               SELECT * FROM (VALUES (1, 'a/b'), (2, 'c'), (3, 'c')) t (v, p)";
    assert_eq!(lake.answer(sql).await.unwrap().written.len(), 2);
    lake.check("SHOW PARTITIONS parts", &["p=a%2Fb", "p=c"]).await;
    lake.check("SELECT v, p FROM parts ORDER BY v", &["1|a/b", "2|c", "3|c"]).await;
    assert_eq!(lake.answer("INSERT INTO parts SELECT 4, 'd'").await.unwrap().update_count, Some(1));
    lake.check("SELECT v FROM parts WHERE p = 'd'", &["4"]).await;
    lake.check_error("INSERT INTO parts SELECT 'x', 'd'", "TYPE_MISMATCH: line 1:1: Insert query has mismatched").await;
    let many = "CREATE TABLE many WITH (partitioned_by = ARRAY['p'], external_location = 's3://lake/many/') AS
                SELECT 1 v, x p FROM UNNEST(sequence(1, 101)) AS t (x)";
    lake.check_error(many, "HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of 100").await;
}

#[tokio::test]
async fn unload_writes_rows() {
    let lake = lake().await;
    let sql =
        "UNLOAD (SELECT 1 AS a UNION ALL SELECT 2) TO 's3://lake/out/' WITH (format='PARQUET', compression='ZSTD')";
    assert_eq!(lake.answer(sql).await.unwrap().update_count, Some(2));
    lake.check_error(sql, "HIVE_PATH_ALREADY_EXISTS:").await;
    lake.check("CREATE EXTERNAL TABLE u (a int) STORED AS PARQUET LOCATION 's3://lake/out/'", &[]).await;
    lake.check("SELECT sum(a) FROM u", &["3"]).await;
}

#[tokio::test]
async fn answer_is_written_in_each_format() {
    let lake = lake().await;
    let sql = "SELECT * FROM (VALUES (1, 'a,\"b'), (20, NULL), (3, '')) t (n, name) ORDER BY n";
    let text = |format| {
        let lake = &lake;
        async move {
            let mut out = Vec::new();
            write(lake.answer(sql).await.unwrap(), format, &mut out).await.unwrap();
            out
        }
    };
    let utf8 = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert_eq!(utf8(text(Format::Table).await), "  n | name\n----+------\n  1 | a,\"b\n  3 |\n 20 | NULL\n(3 rows)\n");
    assert_eq!(utf8(text(Format::Csv).await), "n,name\n1,\"a,\"\"b\"\n3,\"\"\n20,\n");
    assert_eq!(
        utf8(text(Format::Json).await),
        "{\"n\":1,\"name\":\"a,\\\"b\"}\n{\"n\":3,\"name\":\"\"}\n{\"n\":20,\"name\":null}\n"
    );
    let file = text(Format::Parquet).await;
    assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
    let mut out = Vec::new();
    write(lake.answer("SHOW TABLES LIKE 'customer_t*'").await.unwrap(), Format::Table, &mut out).await.unwrap();
    assert_eq!(utf8(out), "customer_trusted\n");
}

#[tokio::test]
async fn query_beyond_memory_and_disk_fails() {
    let limits = Limits { memory_bytes_max: 1 << 20, spill_bytes_max: 1 << 20, parallelism: 1 };
    let lake = lake_with(limits).await;
    let sql = "SELECT x, count(*) FROM UNNEST(sequence(1, 1000000)) AS t (x) GROUP BY x ORDER BY 2, 1";
    lake.check_error(sql, "EXHAUSTED_RESOURCES: Query exhausted resources at this scale factor").await;
}
