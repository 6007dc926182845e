//! A value as Athena writes it into CSV.

use datafusion::arrow::array::Array;

/// The value of `array` in `row`; none is null.
pub fn text_of(array: &dyn Array, row: usize) -> Option<String> {
    let _ = (array, row);
    None
}
