//! The values and types of expressions.

use crate::lake::lake;

#[tokio::test]
async fn values_need_no_parentheses() {
    let lake = lake().await;
    lake.check("SELECT v FROM (VALUES 1, NULL, 3) AS t(v) ORDER BY v", &["1", "3", "∅"]).await;
    lake.check(
        "SELECT x + (SELECT max(y) FROM (VALUES 2, 3) AS u(y)) FROM (VALUES 1, (5)) t(x) ORDER BY 1",
        &["4", "8"],
    )
    .await;
    lake.check("VALUES 'a', upper('b') ORDER BY 1 DESC", &["a", "B"]).await;
    lake.check("SELECT x FROM (VALUES 3, 1, 2) t(x) ORDER BY x OFFSET 1 ROWS FETCH NEXT 1 ROW ONLY", &["2"]).await;
}

#[tokio::test]
async fn expressions_match_trino() {
    let lake = lake().await;
    for (expression, expected) in [
        ("7 / 2", "3"),
        ("7e0 / 2", "3.5"),
        ("-7 % 3", "-1"),
        ("mod(7, 3)", "1"),
        ("CAST(1.0e0 AS varchar)", "1.0"),
        ("CAST('12' AS bigint) + 1", "13"),
        ("CAST('abcdef' AS varchar(3))", "abc"),
        ("TRY_CAST('x' AS integer)", "∅"),
        ("TRY(CAST('x' AS integer))", "∅"),
        ("try_cast('2022-06-18' as date)", "2022-06-18"),
        ("DATE '1600-01-01'", "1600-01-01"),
        ("TIMESTAMP '1600-01-01 01:02:03.004'", "1600-01-01 01:02:03.004"),
        ("date '2024-02-28' + interval '1' day", "2024-02-29"),
        ("CAST(timestamp '2022-06-18 14:00:00' AS varchar)", "2022-06-18 14:00:00.000"),
        ("from_unixtime(1655560800)", "2022-06-18 14:00:00.000 UTC"),
        ("from_unixtime(1655560800000 / 1000)", "2022-06-18 14:00:00.000 UTC"),
        ("to_unixtime(timestamp '2022-06-18 14:00:00')", "1.6555608E9"),
        ("date_diff('hour', timestamp '2022-06-18 14:00:00', timestamp '2022-06-19 15:30:00')", "25"),
        ("date_add('month', 1, date '2024-01-31')", "2024-02-29"),
        ("date_format(timestamp '2022-06-18 14:00:00', '%Y-%m-%d %H')", "2022-06-18 14"),
        ("date_parse('18/06/2022', '%d/%m/%Y')", "2022-06-18 00:00:00.000"),
        ("date_trunc('hour', timestamp '2022-06-18 14:23:00')", "2022-06-18 14:00:00.000"),
        ("from_iso8601_timestamp('2022-06-18T16:00:00+02:00')", "2022-06-18 14:00:00.000 UTC"),
        ("year(date '2022-06-18')", "2022"),
        ("day_of_week(date '2022-06-18')", "6"),
        ("extract(hour FROM timestamp '2022-06-18 14:00:00')", "14"),
        ("json_extract_scalar('{\"a\":{\"b\":[1,\"x\"]}}', '$.a.b[1]')", "x"),
        ("regexp_like('abc', 'b+')", "true"),
        ("regexp_extract('a1b22', '[0-9]+')", "1"),
        ("regexp_extract('a1b22', 'b([0-9])', 1)", "2"),
        ("regexp_replace('a1b2', '[0-9]', '-')", "a-b-"),
        ("strpos('hello', 'l')", "3"),
        ("substr('hello', 2, 3)", "ell"),
        ("split('a,b', ',')", "[a, b]"),
        ("split_part('a,b', ',', 2)", "b"),
        ("cardinality(ARRAY[1, 2, 3])", "3"),
        ("ARRAY[1, 2, 3][2]", "2"),
        ("element_at(ARRAY[1, 2, 3], 3)", "3"),
        ("contains(ARRAY['a', 'b'], 'b')", "true"),
        ("array_join(ARRAY['a', 'b'], '-')", "a-b"),
        ("if(1 = 2, 'a', 'b')", "b"),
        ("coalesce(NULL, 'a')", "a"),
        ("length('äöü')", "3"),
        ("concat('a', 'b') || 'c'", "abc"),
        ("greatest(1, 3, 2)", "3"),
        ("round(2.567, 2)", "2.57"),
        ("typeof(CAST(1 AS bigint))", "bigint"),
        ("'it''s'", "it's"),
        ("CASE WHEN 1 > 2 THEN 'a' END", "∅"),
        ("to_utf8('hel')", "68 65 6c"),
        ("CAST(2.5e0 AS integer)", "3"),
        ("CAST(-1.5e0 AS bigint)", "-2"),
        ("TRY_CAST(1.4e0 AS bigint)", "1"),
        ("substr('hello', -3, 2)", "ll"),
        ("substr('hello', -9)", ""),
        ("substr('hello', 0)", ""),
        ("substring('hellö' FROM 4 FOR 9)", "lö"),
        ("substr(CAST(NULL AS varchar), 1)", "∅"),
        ("concat('a', CAST(NULL AS varchar), 'b')", "∅"),
        ("greatest(1, NULL)", "∅"),
        ("least(2, 1)", "1"),
        ("CAST(NULL AS varchar)", "∅"),
        ("date_trunc('month', date '2022-06-18')", "2022-06-01"),
        ("timestamp '2022-06-18 14:00:00' - timestamp '2022-06-17 13:59:59.5'", "1 00:00:00.500"),
        ("to_hex(md5(to_utf8('a')))", "0CC175B9C0F1B6A831C399E269772661"),
        ("from_hex('6162')", "61 62"),
    ] {
        lake.check(&format!("SELECT {expression}"), &[expected]).await;
    }
}

#[tokio::test]
async fn aggregates_match_trino() {
    let lake = lake().await;
    let rows = "FROM (VALUES ('a', 1), ('b', 3), ('a', 2), (NULL, NULL)) AS t (k, v)";
    for (expression, expected) in [
        ("count(*)", "4"),
        ("count(v)", "3"),
        ("count_if(v > 1)", "2"),
        ("sum(v)", "6"),
        ("avg(v)", "2.0"),
        ("max_by(k, v)", "b"),
        ("min_by(k, v)", "a"),
        ("approx_distinct(k)", "2"),
        ("array_agg(v ORDER BY v) FILTER (WHERE v IS NOT NULL)", "[1, 2, 3]"),
        ("count(DISTINCT k)", "2"),
        ("bool_and(v > 0)", "true"),
        ("listagg(k, ',') WITHIN GROUP (ORDER BY k)", "a,a,b"),
    ] {
        lake.check(&format!("SELECT {expression} {rows}"), &[expected]).await;
    }
    lake.check(&format!("SELECT k, arbitrary(k), count(*) {rows} GROUP BY k ORDER BY 1"), &["a|a|2", "b|b|1", "∅|∅|1"])
        .await;
    lake.check(&format!("SELECT v {rows} ORDER BY v DESC"), &["3", "2", "1", "∅"]).await;
    lake.check("SELECT x FROM UNNEST(ARRAY[3, 4]) AS t (x)", &["3", "4"]).await;
    lake.check("SELECT a.x, b.y FROM (VALUES (1)) a (x) CROSS JOIN UNNEST(ARRAY[7, 8]) b (y)", &["1|7", "1|8"]).await;
    lake.check("SELECT k, row_number() OVER (ORDER BY k) FROM (VALUES ('b'), ('a')) t (k) ORDER BY k", &["a|1", "b|2"])
        .await;
}

#[tokio::test]
async fn columns_have_types_of_athena() {
    let lake = lake().await;
    for (expression, expected) in [
        ("1", "integer"),
        ("3000000000", "bigint"),
        ("count(*)", "bigint"),
        ("'a'", "varchar"),
        ("1e0", "double"),
        ("true", "boolean"),
        ("DATE '2022-06-18'", "date"),
        ("TIMESTAMP '2022-06-18 14:00:00'", "timestamp(3)"),
        ("current_timestamp", "timestamp(3) with time zone"),
        ("CAST(1 AS decimal(10,2))", "decimal(10,2)"),
        ("CAST(1 AS real)", "real"),
        ("length('a')", "bigint"),
        ("year(current_date)", "bigint"),
        ("NULL", "unknown"),
        ("ARRAY['a']", "array(varchar)"),
    ] {
        lake.check_type(&format!("SELECT {expression}"), expected).await;
    }
}

#[tokio::test]
async fn wrong_query_fails_with_message_of_athena() {
    let lake = lake().await;
    for (sql, expected) in [
        (
            "SELECT foo FROM customer_landing",
            "COLUMN_NOT_FOUND: line 1:8: Column 'foo' cannot be resolved or requester",
        ),
        ("SELECT 1 FROM foo", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.stedi.foo' does not exist"),
        ("SELECT 1 FROM nope.foo", "SCHEMA_NOT_FOUND: line 1:15: Schema 'nope' does not exist"),
        ("SELECT 1 FROM other.stedi.foo", "CATALOG_NOT_FOUND: line 1:15: Catalog 'other' does not exist"),
        ("SELECT frob(1)", "FUNCTION_NOT_FOUND: line 1:8: Function 'frob' not registered"),
        ("SELECT 1 / 0", "DIVISION_BY_ZERO: Division by zero"),
        ("SELECT CAST('x' AS integer)", "INVALID_CAST_ARGUMENT: Cannot cast"),
        (
            "SELECT email, count(*) FROM customer_landing",
            "EXPRESSION_NOT_AGGREGATE: line 1:8: 'email' must be an aggregate",
        ),
        ("SELECT a.x FROM (SELECT 1 x) a JOIN (SELECT 1 x) b ON x = 1", "AMBIGUOUS_NAME: line"),
        ("SELEC 1", "line 1:1: mismatched input 'SELEC'. Expecting:"),
        ("DELETE FROM customer_landing", "line 1:1: mismatched input 'DELETE'"),
        ("SELECT CAST('1' AS json)", "NOT_SUPPORTED: casts to JSON"),
    ] {
        lake.check_error(sql, expected).await;
    }
}

#[tokio::test]
async fn deep_nesting_does_not_overflow_stack() {
    let lake = lake().await;
    let long = vec!["1"; 400].join(" + ");
    lake.check(&format!("SELECT {long}"), &["400"]).await;
    let long = vec!["1 = 2"; 400].join(" OR ");
    lake.check(&format!("SELECT {long}"), &["false"]).await;
    let nested = |depth| format!("SELECT {}1{}", "(SELECT ".repeat(depth), ")".repeat(depth));
    lake.check(&nested(10), &["1"]).await;
    lake.check_error(&nested(11), "STACK_OVERFLOW: statement is too large: subqueries").await;
    let below = |depth| {
        format!("SELECT * FROM {}1 AS a{}", "(SELECT * FROM ".repeat(depth) + "(SELECT ", ")".repeat(depth + 1))
    };
    lake.check(&below(30), &["1"]).await;
    let deep = format!("SELECT {}1{}", "(".repeat(150), ")".repeat(150));
    let _ = lake.ask(&deep).await;
    lake.check("SELECT 1", &["1"]).await;
}
