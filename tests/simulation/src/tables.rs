//! The rows of stored tables as texts, for comparison, and the histories of consent.

use arrow_array::RecordBatch;
use bytes::Bytes;
use formats::Corrupt;
use formats::columnar::{self, Decoder};
use formats::customer_shard::trusted::CustomerShard;
use formats::latest_readings::LatestReadings;
use model::consent::ConsentHistory;
use model::hash::{HashKey, KeyHash};
use model::table::{ColumnType, Table};
use std::collections::BTreeMap;

/// The rows of one object of `table`, each as one text: its partition, if the table has partitions, and its columns,
/// separated by spaces. `-` stands for an absent value.
pub fn rows_of(table: Table, key: &str, body: Bytes) -> Result<Vec<String>, Corrupt> {
    let within = key.strip_prefix(table.prefix()).unwrap_or(key);
    let partition = within.rsplit_once('/').map(|(partition, _)| partition);
    let mut rows = Vec::new();
    for batch in Decoder::new(body, table.name())?.batches(table)? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let columns = table.columns().iter().enumerate().map(|(i, column)| cell(&batch, i, row, column.kind));
            rows.push(partition.map(str::to_owned).into_iter().chain(columns).collect::<Vec<_>>().join(" "));
        }
    }
    Ok(rows)
}

fn cell(batch: &RecordBatch, i: usize, row: usize, kind: ColumnType) -> String {
    match kind {
        ColumnType::String => columnar::text_at(batch, i, row).unwrap_or("-").to_owned(),
        ColumnType::BigInt => columnar::bigint_at(batch, i, row).map_or("-".to_owned(), |n| n.to_string()),
        ColumnType::Int => columnar::int_at(batch, i, row).to_string(),
        ColumnType::Double => columnar::double_at(batch, i, row).to_string(),
        ColumnType::Boolean => columnar::boolean_at(batch, i, row).to_string(),
    }
}

/// What a shard of `customer_trusted` knows of the consent of its customers, by the hash of their identity.
pub fn histories_of(body: Bytes) -> Result<BTreeMap<KeyHash, ConsentHistory>, Corrupt> {
    Ok(CustomerShard::decode(body, HashKey::public())?.histories().collect())
}

/// What a part of the latest-reading index knows of the readings of these customers, by name.
pub fn latest_of<'a>(
    body: &Bytes,
    names: impl IntoIterator<Item = &'a str>,
    key_of: impl Fn(&str) -> KeyHash,
) -> Result<BTreeMap<String, i64>, Corrupt> {
    let index = LatestReadings::decode(body)?;
    let known = names.into_iter().filter_map(|name| Some((name.to_owned(), index.latest_ms(key_of(name))?)));
    Ok(known.collect())
}
