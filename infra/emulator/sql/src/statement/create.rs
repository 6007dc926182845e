//! `CREATE EXTERNAL TABLE` in Hive's grammar.

use super::lexer::{Cursor, Name};
use crate::error::SqlError;
use crate::sql_type::SqlType;
use emulator_client::data_catalog::{Column, Storage};
use std::collections::{BTreeMap, BTreeSet};

/// The definition of a new table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CreateTable {
    pub(crate) name: Option<Name>,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<Column>,
    pub(crate) partition_keys: Vec<Column>,
    pub(crate) comment: Option<String>,
    pub(crate) storage: Storage,
    pub(crate) properties: BTreeMap<String, String>,
}

const TEXT_INPUT: &str = "org.apache.hadoop.mapred.TextInputFormat";
const TEXT_OUTPUT: &str = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat";
const TEXT_SERDE: &str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";
pub(crate) const PARQUET_INPUT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat";
pub(crate) const PARQUET_OUTPUT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat";
pub(crate) const PARQUET_SERDE: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";

/// The input format, output format and SerDe of `STORED AS word`.
fn stored_as(word: &str) -> Option<[&'static str; 3]> {
    Some(match word {
        "parquet" | "parquetfile" => [PARQUET_INPUT, PARQUET_OUTPUT, PARQUET_SERDE],
        "textfile" => [TEXT_INPUT, TEXT_OUTPUT, TEXT_SERDE],
        "json" | "jsonfile" => [TEXT_INPUT, TEXT_OUTPUT, "org.apache.hive.hcatalog.data.JsonSerDe"],
        "orc" => [
            "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat",
            "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
            "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
        ],
        "avro" => [
            "org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat",
            "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat",
            "org.apache.hadoop.hive.serde2.avro.AvroSerDe",
        ],
        _ => return None,
    })
}

/// Reads name, columns and clauses after `CREATE EXTERNAL TABLE`. Hive fixes the order of the clauses; this reads them in
/// any order.
pub(super) fn create_table(cursor: &mut Cursor<'_>) -> Result<CreateTable, SqlError> {
    let mut table = CreateTable { if_not_exists: cursor.keywords(&["if", "not", "exists"]), ..Default::default() };
    table.name = Some(cursor.table()?);
    if cursor.peek_sign('(') {
        table.columns = columns(cursor)?;
    }
    while cursor.end().is_err() {
        clause(cursor, &mut table)?;
    }
    if table.storage.location.is_none() {
        return Err(SqlError::user("FAILED: SemanticException [Error 10300]: No location was specified for table"));
    }
    let [input, output, serde] = [TEXT_INPUT, TEXT_OUTPUT, TEXT_SERDE].map(str::to_owned);
    table.storage.input_format.get_or_insert(input);
    table.storage.output_format.get_or_insert(output);
    table.storage.serde.get_or_insert(serde);
    table.storage.serde_parameters.entry("serialization.format".to_owned()).or_insert_with(|| "1".to_owned());
    Ok(table)
}

fn clause(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Result<(), SqlError> {
    if cursor.keyword("comment") {
        table.comment = Some(cursor.string()?);
    } else if cursor.keywords(&["partitioned", "by"]) {
        table.partition_keys = columns(cursor)?;
    } else if cursor.keywords(&["clustered", "by"]) {
        // The clause is a hint for writers. No reader here needs it.
        cursor.skip_parentheses()?;
        cursor.expect("into")?;
        cursor.value()?;
        cursor.expect("buckets")?;
    } else if cursor.keywords(&["row", "format", "serde"]) {
        table.storage.serde = Some(cursor.string()?);
        if cursor.keywords(&["with", "serdeproperties"]) {
            table.storage.serde_parameters.extend(pairs(cursor)?);
        }
    } else if cursor.keywords(&["with", "serdeproperties"]) {
        table.storage.serde_parameters.extend(pairs(cursor)?);
    } else if cursor.keywords(&["row", "format", "delimited"]) {
        table.storage.serde = Some(TEXT_SERDE.to_owned());
        delimited(cursor, &mut table.storage.serde_parameters)?;
    } else if cursor.keywords(&["stored", "as", "inputformat"]) {
        table.storage.input_format = Some(cursor.string()?);
        cursor.expect("outputformat")?;
        table.storage.output_format = Some(cursor.string()?);
    } else if cursor.keywords(&["stored", "as"]) {
        let word = cursor.identifier()?.to_lowercase();
        let Some([input, output, serde]) = stored_as(&word) else {
            return Err(SqlError::user(format!(
                "FAILED: SemanticException Unrecognized file format in STORED AS clause: '{word}'; expected PARQUET, \
                 TEXTFILE, JSON, ORC, AVRO or INPUTFORMAT '…' OUTPUTFORMAT '…'"
            )));
        };
        table.storage.input_format = Some(input.to_owned());
        table.storage.output_format = Some(output.to_owned());
        table.storage.serde.get_or_insert_with(|| serde.to_owned());
    } else if cursor.keyword("location") {
        table.storage.location = Some(cursor.string()?);
    } else if cursor.keyword("tblproperties") {
        table.properties.extend(pairs(cursor)?);
    } else {
        return Err(cursor.unexpected(
            "'CLUSTERED BY', 'COMMENT', 'LOCATION', 'PARTITIONED BY', 'ROW FORMAT', 'STORED AS', 'TBLPROPERTIES'",
        ));
    }
    Ok(())
}

fn delimited(cursor: &mut Cursor<'_>, parameters: &mut BTreeMap<String, String>) -> Result<(), SqlError> {
    loop {
        let key = match () {
            () if cursor.keywords(&["fields", "terminated", "by"]) => "field.delim",
            () if cursor.keywords(&["escaped", "by"]) => "escape.delim",
            () if cursor.keywords(&["collection", "items", "terminated", "by"]) => "collection.delim",
            () if cursor.keywords(&["map", "keys", "terminated", "by"]) => "mapkey.delim",
            () if cursor.keywords(&["lines", "terminated", "by"]) => "line.delim",
            () if cursor.keywords(&["null", "defined", "as"]) => "serialization.null.format",
            () => return Ok(()),
        };
        parameters.insert(key.to_owned(), cursor.string()?);
    }
}

/// `(name type [COMMENT '…'], …)`.
pub(super) fn columns(cursor: &mut Cursor<'_>) -> Result<Vec<Column>, SqlError> {
    let columns: Vec<Column> = cursor.list(|cursor| {
        let name = cursor.identifier()?.to_lowercase();
        // A colon between name and type, as in a struct, is accepted.
        cursor.sign(':');
        let kind = SqlType::from_hive(cursor.type_text())
            .map_err(|error| SqlError::user(format!("FAILED: ParseException: column {name}: {error}")))?;
        Ok(Column { name, kind: kind.to_hive().unwrap_or_default(), comment: cursor.string_after("comment")? })
    })?;
    let mut names = BTreeSet::new();
    match columns.iter().find(|column| !names.insert(&column.name)) {
        None => Ok(columns),
        Some(Column { name, .. }) => {
            Err(SqlError::user(format!("FAILED: SemanticException [Error 10036]: Duplicate column name: {name}")))
        }
    }
}

/// `('name' = 'value', …)`.
pub(super) fn pairs(cursor: &mut Cursor<'_>) -> Result<BTreeMap<String, String>, SqlError> {
    cursor.list(|cursor| {
        let name = cursor.value()?;
        cursor.expect_sign('=')?;
        Ok((name, cursor.value()?))
    })
}
