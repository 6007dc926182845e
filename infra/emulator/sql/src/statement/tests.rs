use super::*;

fn ok(sql: &str) -> Action {
    parse(sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn wrong(sql: &str) -> String {
    parse(sql, &[]).unwrap_err().message
}

#[test]
fn each_statement_has_its_type() {
    let cases = [
        ("select 1", Kind::Dml, "SELECT"),
        ("-- first\n(SELECT 1);", Kind::Dml, "SELECT"),
        ("WITH a AS (SELECT 1 x) SELECT * FROM a", Kind::Dml, "SELECT"),
        ("VALUES (1, 2)", Kind::Dml, "SELECT"),
        ("EXPLAIN SELECT 1", Kind::Utility, "EXPLAIN"),
        ("INSERT INTO a.b (c) SELECT 1", Kind::Dml, "INSERT"),
        ("INSERT INTO b (SELECT 1)", Kind::Dml, "INSERT"),
        ("INSERT INTO b VALUES (1)", Kind::Dml, "INSERT"),
        ("UNLOAD (SELECT 1 a) TO 's3://b/c/' WITH (format = 'PARQUET')", Kind::Dml, "UNLOAD"),
        ("CREATE TABLE a WITH (format='PARQUET') AS SELECT 1 x WITH NO DATA", Kind::Ddl, "CREATE_TABLE_AS_SELECT"),
        ("CREATE OR REPLACE VIEW v AS SELECT 1 x", Kind::Ddl, "CREATE_VIEW"),
        ("create external table t (a int) location 's3://b/k/'", Kind::Ddl, "CREATE_TABLE"),
        ("MSCK REPAIR TABLE `a`.`b`;", Kind::Ddl, "MSCK_REPAIR_TABLE"),
        ("SHOW TABLES IN stedi 'c*'", Kind::Utility, "SHOW_TABLES"),
        ("DESCRIBE t", Kind::Utility, "DESCRIBE_TABLE"),
        (
            "ALTER TABLE t ADD IF NOT EXISTS PARTITION (dt='1') LOCATION 's3://b/1/'",
            Kind::Ddl,
            "ALTER_TABLE_ADD_PARTITION",
        ),
    ];
    for (sql, kind, substatement) in cases {
        let action = ok(sql);
        assert_eq!((action.kind(), action.substatement()), (kind, substatement), "{sql}");
    }
}

#[test]
fn syntax_error_names_line_and_column() {
    assert!(wrong("SELEC 1").starts_with("line 1:1: mismatched input 'SELEC'. Expecting: 'ALTER', 'CREATE'"));
    assert!(wrong("SELECT 1; SELECT 2").starts_with("Only one sql statement is allowed"));
    assert!(wrong("").contains("empty"));
    assert!(wrong("SELECT `a` FROM b").contains("line 1:8: backquoted identifiers are not supported"));
    assert!(wrong("SELECT 1\nFROM WHERE").starts_with("line 2:"));
    assert!(wrong("SELECT 'a").contains("Unterminated string literal"));
    assert!(wrong("CREATE EXTERNAL TABLE 'a'.'b' (x int) LOCATION 's3://b/'").contains("mismatched input ''a''"));
    assert!(wrong(&"(".repeat(100_000)).contains("mismatched"));
    assert!(wrong(&format!("SELECT {}", vec!["1"; 5000].join(" + "))).contains("too large"));
    assert!(wrong(&format!("SELECT {}1{}", "(".repeat(50_000), ")".repeat(50_000))).contains("too large"));
    assert!(wrong(&"x".repeat(STATEMENT_BYTES_MAX + 1)).contains("too long"));
}

#[test]
fn parameters_replace_placeholders() {
    let with = |sql: &str, parameters: &[&str]| {
        let parameters: Vec<_> = parameters.iter().map(|text| (*text).to_owned()).collect();
        parse(sql, &parameters).map(|action| match action {
            Action::Select(query) => query.statement.to_string(),
            other => format!("{other:?}"),
        })
    };
    assert_eq!(
        with("SELECT a FROM t WHERE b = ? LIMIT ?", &["'x; y'", "5"]).unwrap(),
        "SELECT a FROM t WHERE b = 'x; y' LIMIT 5"
    );
    assert!(with("SELECT ?", &[]).unwrap_err().message.contains("expected 1 but found 0"));
    assert!(with("SELECT ?", &["1; DROP TABLE x"]).is_err());
    assert!(with("SELECT ?", &["1 FROM secret"]).is_err());
}

#[test]
fn definition_accepts_clauses_in_many_forms() {
    let sql = r#"
        /* landing */
        CREATE EXTERNAL TABLE IF NOT EXISTS `Stedi`.`Accelerometer_Landing` (
          `user` string COMMENT "the customer's", -- mail
          `timeStamp` BIGINT,
          x float, `y` double,
          tags array<struct<a:int,b:map<string,decimal(10,2)>>>
        ) COMMENT 'it''s raw'
        PARTITIONED BY (`dt` string)
        ROW FORMAT SERDE
          'org.openx.data.jsonserde.JsonSerDe'
        WITH SERDEPROPERTIES (
          'ignore.malformed.json' = 'FALSE', 'mapping.x' = 'yyyy\'T\'')
        STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
        OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
        LOCATION 's3://somewhere/accelerometer'
        TBLPROPERTIES ('classification' = 'json')
        ;
    "#;
    let Action::Hive(Command::CreateTable(table)) = ok(sql) else { panic!("expected CREATE TABLE") };
    assert_eq!(table.name.unwrap(), TableName { database: Some("stedi".into()), name: "accelerometer_landing".into() });
    let columns: Vec<_> = table.columns.iter().map(|column| format!("{} {}", column.name, column.kind)).collect();
    assert_eq!(
        columns,
        [
            "user string",
            "timestamp bigint",
            "x float",
            "y double",
            "tags array<struct<a:int,b:map<string,decimal(10,2)>>>"
        ]
    );
    assert_eq!(table.comment.as_deref(), Some("it's raw"));
    assert_eq!(table.partition_keys[0].name, "dt");
    assert_eq!(table.storage.serde.as_deref(), Some("org.openx.data.jsonserde.JsonSerDe"));
    assert_eq!(table.storage.serde_parameters["mapping.x"], "yyyy'T'");
    assert_eq!(table.properties["classification"], "json");
    for short in [
        "CREATE EXTERNAL TABLE t(a int) STORED AS PARQUET LOCATION 's3://b/k'",
        "CREATE EXTERNAL TABLE `stedi.t`(a int) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LOCATION 's3://b/k'",
        "CREATE EXTERNAL TABLE t(a int) LOCATION 's3://b/k' STORED AS TEXTFILE TBLPROPERTIES (\"a\"=\"b\")",
    ] {
        ok(short);
    }
    assert!(wrong("CREATE EXTERNAL TABLE t(a text) LOCATION 's3://b/k'").contains("\"text\" is not a type"));
    assert!(wrong("CREATE EXTERNAL TABLE t(a int)").contains("No location was specified"));
    assert!(wrong("CREATE EXTERNAL TABLE t(a int, A int) LOCATION 's3://b/'").contains("Duplicate column name: a"));
}

#[test]
fn patterns_match_as_in_hive() {
    for (pattern, name, matches) in [
        ("c*", "customer", true),
        ("*_landing|*_trusted", "a_trusted", true),
        ("customer", "customer_landing", false),
        (".*landing", "x_landing", true),
        ("%cust%", "a_customer", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b", "axxc", false),
    ] {
        assert_eq!(like(pattern, name), matches, "{pattern} {name}");
    }
}
