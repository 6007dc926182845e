//! Registered partitions: their values in the types of the table's keys, and which of them a query needs.

use crate::error::SqlError;
use crate::sql_type::SqlType;
use aws::data_catalog::{Partition, Table};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use std::sync::Arc;

/// What Hive writes for a partition without a value.
pub(crate) const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// A partition to be read.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    pub(crate) values: Arc<Vec<ScalarValue>>,
    pub(crate) location: String,
}

/// `dt=2022-06-18/hour=14`, as Hive writes it.
pub(crate) fn name(table: &Table, values: &[String]) -> String {
    let pairs = table.partition_keys.iter().zip(values);
    pairs.map(|(key, value)| format!("{}={}", key.name, escaped(value))).collect::<Vec<_>>().join("/")
}

/// A value as Hive writes it into a key.
pub(crate) fn escaped(value: &str) -> String {
    let special = |c: char| c.is_control() || "\"#%'*/:=?\\{[]^".contains(c);
    let one = |c: char| if special(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() };
    value.chars().map(one).collect()
}

/// The partitions with their values in the types of the keys.
pub(crate) fn typed(table: &Table, keys: &[SqlType], partitions: Vec<Partition>) -> Result<Vec<Typed>, SqlError> {
    let one = |partition: Partition| {
        let wrong = |why: String| {
            let told = format!("partition {} of {}.{}: {why}", partition.values.join("/"), table.database, table.name);
            SqlError::user(format!("HIVE_INVALID_PARTITION_VALUE: {told}"))
        };
        if partition.values.len() != keys.len() {
            return Err(wrong(format!("the table has {} keys", keys.len())));
        }
        let value = |(kind, text): (&SqlType, &String)| match text.as_str() {
            NO_VALUE => ScalarValue::try_from(&kind.arrow()),
            text => ScalarValue::try_from_string(text.to_owned(), &kind.arrow()),
        };
        let values = keys.iter().zip(&partition.values).map(value).collect::<Result<Vec<_>>>();
        let values = values.map_err(|error| wrong(error.strip_backtrace()))?;
        let own = partition.storage.location.filter(|location| !location.is_empty());
        let by_name = || {
            let location = table.storage.location.as_deref()?;
            Some(format!("{}/{}/", location.trim_end_matches('/'), name(table, &partition.values)))
        };
        let location = own.or_else(by_name).unwrap_or_default();
        Ok(Typed { values: Arc::new(values), location })
    };
    partitions.into_iter().map(one).collect()
}

/// The partitions of which all `filters` may be true.
pub(crate) fn pruned(
    state: &dyn Session,
    table: &Table,
    keys: &[SqlType],
    partitions: Vec<Typed>,
    filters: &[Expr],
) -> Result<Vec<Typed>> {
    if filters.is_empty() || partitions.is_empty() {
        return Ok(partitions);
    }
    let field =
        |(key, kind): (&aws::data_catalog::Column, &SqlType)| Field::new(key.name.to_lowercase(), kind.arrow(), true);
    let fields: Vec<_> = table.partition_keys.iter().zip(keys).map(field).collect();
    let schema = Arc::new(Schema::new(fields));
    let column = |n: usize| ScalarValue::iter_to_array(partitions.iter().map(|partition| partition.values[n].clone()));
    let columns: Vec<ArrayRef> = (0..keys.len()).map(column).collect::<Result<_>>()?;
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let schema = DFSchema::try_from(schema)?;
    let mut kept = vec![true; partitions.len()];
    for filter in filters {
        // The filter names the table; the batch does not.
        let filter = unqualified(filter.clone())?;
        let expr = state.create_physical_expr(filter, &schema)?;
        let truth = expr.evaluate(&batch)?.into_array(partitions.len())?;
        let truth = truth.as_boolean();
        for (n, kept) in kept.iter_mut().enumerate() {
            *kept &= truth.is_valid(n) && truth.value(n);
        }
    }
    Ok(partitions.into_iter().zip(kept).filter_map(|(partition, kept)| kept.then_some(partition)).collect())
}

fn unqualified(filter: Expr) -> Result<Expr> {
    use datafusion::common::Column;
    use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
    let one = |expr: Expr| match expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))),
        other => Ok(Transformed::no(other)),
    };
    filter.transform(one).data()
}
