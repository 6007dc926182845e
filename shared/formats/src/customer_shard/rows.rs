//! The rows of a shard: customers sorted by email, as Arrow columns.
//!
//! A change concerns a few of thousands of customers. So the rows of the others stay columns and are copied as columns.

use super::header::Header;
use crate::Corrupt;
use crate::columnar::{self, Decoder, Metadata, Order, bigint_at, text_at};
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, make_array};
use arrow_schema::ArrowError;
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::interleave::interleave_record_batch;
use bytes::Bytes;
use model::customer::{Customer, consent_since};
use model::hash::{HashKey, KeyHash};
use model::table::Table;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

const EMAIL: usize = 1;
const SINCE: usize = 7;

/// The rows of a shard, sorted by email, one for each customer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rows {
    table: Table,
    columns: RecordBatch,
}

impl Rows {
    /// Returns an empty set of rows.
    pub(super) fn none(table: Table) -> Self {
        Self { table, columns: RecordBatch::new_empty(columnar::schema(table)) }
    }

    /// Builds the rows of customers that are sorted by email.
    fn of(table: Table, customers: &[Customer]) -> Result<Self, ArrowError> {
        let text = |of: fn(&Customer) -> Option<&str>| -> ArrayRef {
            Arc::new(customers.iter().map(of).collect::<StringArray>())
        };
        let time = |of: fn(&Customer) -> Option<i64>| -> ArrayRef {
            Arc::new(customers.iter().map(of).collect::<Int64Array>())
        };
        let columns = vec![
            text(|c| c.customername.as_deref()),
            text(|c| Some(&c.email)),
            text(|c| c.phone.as_deref()),
            text(|c| c.birthday.as_deref()),
            text(|c| c.serialnumber.as_deref()),
            time(|c| c.registrationdate),
            time(|c| c.lastupdatedate),
            time(|c| c.sharewithresearchasofdate),
            time(|c| c.sharewithpublicasofdate),
            time(|c| c.sharewithfriendsasofdate),
        ];
        Ok(Self { table, columns: columnar::batch(table, columns)? })
    }

    /// Reads the rows of a shard's object.
    pub(super) fn decode(table: Table, object: Bytes) -> Result<Self, Corrupt> {
        let batches = Decoder::new(object, table.name())?.batches(table)?.collect::<Result<Vec<_>, _>>()?;
        let columns = concat_batches(&columnar::schema(table), &batches);
        let columns = columns.map_err(|error| Corrupt::new(table.name(), error))?;
        if columns.column(EMAIL).null_count() > 0 {
            return Err(Corrupt::new(table.name(), "a row without an email"));
        }
        Self { table, columns }.in_order()
    }

    fn in_order(self) -> Result<Self, Corrupt> {
        match (0..self.len()).is_sorted_by(|a, b| self.email(*a) < self.email(*b)) {
            true => Ok(self),
            false => Err(Corrupt::new(self.table.name(), "its rows are not in the order of their emails")),
        }
    }

    /// Writes a shard's object: `header` and these rows.
    pub(super) fn encode(&self, header: &Header) -> Result<Bytes, Corrupt> {
        let (header, rows) = (header.encode(), Ok(self.columns.clone()));
        columnar::encode_with_header(&header, self.table, Order::By("email"), [rows], &Metadata::new())
            .map_err(|error| Corrupt::new(self.table.name(), error))
    }

    /// Returns the number of rows.
    pub(super) fn len(&self) -> usize {
        self.columns.num_rows()
    }

    /// Returns the customer's email.
    pub(super) fn email(&self, row: usize) -> &str {
        text_at(&self.columns, EMAIL, row).unwrap_or_default()
    }

    /// Returns the customer of each row.
    pub(super) fn keys(&self, hash_key: &HashKey) -> impl Iterator<Item = KeyHash> {
        (0..self.len()).map(|row| hash_key.of_email(self.email(row)))
    }

    /// Returns the date of the customer's consent to research.
    pub(super) fn since_ms(&self, row: usize) -> Option<i64> {
        consent_since(bigint_at(&self.columns, SINCE, row))
    }

    /// Returns the customer's record.
    pub(super) fn customer(&self, row: usize) -> Customer {
        customer_at(&self.columns, row)
    }

    /// Finds the row of the customer with this email.
    pub(super) fn find(&self, email: &str) -> Option<usize> {
        let (mut start, mut end) = (0, self.len());
        while start < end {
            let row = usize::midpoint(start, end);
            match self.email(row).cmp(email) {
                Ordering::Less => start = row + 1,
                Ordering::Equal => return Some(row),
                Ordering::Greater => end = row,
            }
        }
        None
    }

    /// Returns these rows without those of `removed`, and with the customers `added`, which are sorted by email.
    ///
    /// # Errors
    /// If a customer would have two rows.
    pub(super) fn changed(&self, removed: &BTreeSet<usize>, added: &[Customer]) -> Result<Self, Corrupt> {
        let changed = || {
            let new = Self::of(self.table, added)?;
            let mut positions = Vec::with_capacity(self.len() + added.len());
            let mut next = 0;
            for row in (0..self.len()).filter(|row| !removed.contains(row)) {
                while next < new.len() && new.email(next) < self.email(row) {
                    positions.push((1, next));
                    next += 1;
                }
                positions.push((0, row));
            }
            positions.extend((next..new.len()).map(|row| (1, row)));
            let changed = interleave_record_batch(&[&self.columns, &new.columns], &positions)?;
            // A column whose last null was removed keeps a validity buffer. Parquet would write it in other pages than a column
            // without that buffer. Rebuilding the arrays drops the buffer.
            let columns = changed.columns().iter().map(|column| make_array(column.to_data())).collect();
            columnar::batch(self.table, columns)
        };
        let columns = changed().map_err(|error| Corrupt::new(self.table.name(), error))?;
        Self { table: self.table, columns }.in_order()
    }

    /// Returns the rows for which `counts` is true, as rows of `table`, which has the same columns.
    pub(super) fn filtered(&self, table: Table, counts: impl Fn(usize) -> bool) -> Result<Self, Corrupt> {
        let counting: BooleanArray = (0..self.len()).map(|row| Some(counts(row))).collect();
        let columns = filter_record_batch(&self.columns, &counting);
        Ok(Self { table, columns: columns.map_err(|error| Corrupt::new(table.name(), error))? })
    }
}

/// Returns the customer's record from a batch that has all columns.
fn customer_at(rows: &RecordBatch, row: usize) -> Customer {
    let text = |i| text_at(rows, i, row).map(str::to_owned);
    let time = |i| bigint_at(rows, i, row);
    Customer {
        customername: text(0),
        email: text(EMAIL).unwrap_or_default(),
        phone: text(2),
        birthday: text(3),
        serialnumber: text(4),
        registrationdate: time(5),
        lastupdatedate: time(6),
        sharewithresearchasofdate: time(SINCE),
        sharewithpublicasofdate: time(8),
        sharewithfriendsasofdate: time(9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columnar::BATCH_ROWS;
    use crate::customer_shard::test_customer::customer;
    use std::collections::BTreeMap;

    const TABLE: Table = Table::CustomerTrusted;

    fn rows(customers: &[Customer]) -> Rows {
        Rows::of(TABLE, customers).unwrap()
    }

    fn customers(rows: &Rows) -> Vec<Customer> {
        (0..rows.len()).map(|row| rows.customer(row)).collect()
    }

    #[test]
    fn rows_survive_their_bytes() {
        for many in [0, 1, BATCH_ROWS as i64 + 3] {
            let people: Vec<_> =
                (0..many).map(|n| customer(&format!("c{n:06}"), n, (n % 3 > 0).then_some(n))).collect();
            let object = rows(&people).encode(&Header::default()).unwrap();
            let again = Rows::decode(TABLE, object).unwrap();
            assert!(again == rows(&people) && customers(&again) == people);
        }
    }

    #[test]
    fn rows_out_of_order_are_refused() {
        for emails in [["b", "a"], ["a", "a"]] {
            let object = rows(&emails.map(|email| customer(email, 1, Some(1)))).encode(&Header::default()).unwrap();
            assert!(Rows::decode(TABLE, object).unwrap_err().to_string().contains("order"));
        }
    }

    #[test]
    fn only_known_emails_are_found() {
        let people: Vec<_> = (0..20).map(|n| customer(&format!("c{n:02}"), n, Some(1))).collect();
        for many in 0..people.len() {
            let rows = rows(&people[..many]);
            for (row, person) in people.iter().enumerate() {
                assert_eq!(rows.find(&person.email), (row < many).then_some(row));
            }
            assert_eq!((rows.find(""), rows.find("c005"), rows.find("d")), (None, None, None));
        }
    }

    #[test]
    fn changed_rows_are_the_remaining_ones_and_the_new_ones() {
        let person = |n: usize, date_ms| customer(&format!("c{n}"), date_ms, (n == 1 || n == 3).then_some(1));
        // Each of five people is absent (0), stays (1), is removed (2), is added (3) or is replaced (4).
        for case in 0..5_usize.pow(5) {
            let (mut before, mut after, mut added) = (Vec::new(), BTreeMap::new(), Vec::new());
            let mut removed = BTreeSet::new();
            for n in 0..5 {
                let change = case / 5_usize.pow(n as u32) % 5;
                if matches!(change, 2 | 4) {
                    removed.insert(before.len());
                }
                if matches!(change, 1 | 2 | 4) {
                    before.push(person(n, 1));
                }
                if matches!(change, 3 | 4) {
                    added.push(person(n, 2));
                }
                if matches!(change, 1 | 3 | 4) {
                    after.insert(n, person(n, if change == 1 { 1 } else { 2 }));
                }
            }
            let changed = rows(&before).changed(&removed, &added).unwrap();
            let after: Vec<_> = after.into_values().collect();
            assert_eq!(customers(&changed), after, "{case}");
            assert_eq!(changed, rows(&after));
            let of = |rows: &Rows| rows.encode(&Header::default()).unwrap();
            assert!(of(&changed) == of(&rows(&after)), "the same rows give the same bytes");
        }
    }

    #[test]
    fn bytes_hold_no_trace_of_a_removed_customer() {
        // More rows than the Parquet writer takes at once.
        let person = |n| Customer { phone: Some(format!("{n}")), ..customer(&format!("c{n:06}"), n, Some(1)) };
        let people: Vec<_> = (0..21_000).map(person).collect();
        let of = |rows: &Rows| rows.encode(&Header::default()).unwrap();
        for (gone, row) in [("b", 0), ("d", people.len())] {
            let without_phone = Customer { phone: None, ..customer(gone, 1, Some(1)) };
            let with = rows(&people).changed(&BTreeSet::new(), &[without_phone]).unwrap();
            let without = with.changed(&BTreeSet::from([row]), &[]).unwrap();
            assert_eq!((with.len(), without.len()), (people.len() + 1, people.len()));
            assert!(of(&without) == of(&rows(&people)));
        }
    }

    #[test]
    fn a_second_row_of_a_customer_is_refused() {
        let person = [customer("a", 1, Some(1))];
        assert!(rows(&person).changed(&BTreeSet::new(), &person).is_err());
        assert!(rows(&[]).changed(&BTreeSet::new(), &[person.clone(), person].concat()).is_err());
    }

    #[test]
    fn filtered_rows_are_those_that_count() {
        let people: Vec<_> = (0..9).map(|n| customer(&format!("c{n}"), n, Some(1))).collect();
        let filtered = rows(&people).filtered(Table::CustomerCurated, |row| row % 3 == 1).unwrap();
        let expected: Vec<_> = people.into_iter().skip(1).step_by(3).collect();
        assert_eq!(filtered, Rows::of(Table::CustomerCurated, &expected).unwrap());
    }
}
