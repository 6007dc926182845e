//! The header of a shard's object: the data that functions look up without reading rows.
//!
//! Parquet allows any bytes between its magic bytes and the first row group, and readers of the table skip them. One request
//! for the first bytes of the object reads the header; it takes no footer. Lookups work on the stored bytes.

use crate::Corrupt;
use bytes::Bytes;
use model::table::Table;

const MAGIC: &[u8] = b"PAR1";
/// The version of the shard and the length of each section, little-endian.
const NUMBERS: usize = 5;
const NUMBER_BYTES: usize = 8;
const SECTIONS_AT: usize = MAGIC.len() + NUMBERS * NUMBER_BYTES;

/// The version of a shard, and four sections of bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    pub(super) version: u64,
    /// The lookup table: a number for the hash of each key.
    pub(super) lookups: Bytes,
    /// The version in which each key last changed, by the hash of the key.
    pub(super) changed: Bytes,
    /// The row counts of each landing file.
    pub(super) row_counts: Bytes,
    /// The state of every customer record of the shard.
    pub(super) records: Bytes,
}

impl Header {
    /// Returns the bytes that follow the magic bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let sections = [&self.lookups, &self.changed, &self.row_counts, &self.records];
        let lengths = sections.map(|section| section.len() as u64);
        let mut bytes = Vec::with_capacity(SECTIONS_AT + lengths.iter().sum::<u64>() as usize);
        [self.version].iter().chain(&lengths).for_each(|number| bytes.extend(number.to_le_bytes()));
        sections.iter().for_each(|section| bytes.extend_from_slice(section));
        bytes
    }

    /// Reads the header from an object, or from its start. The start must have at least
    /// [`up_to_changed`](Self::up_to_changed) bytes. A later section that is cut off is empty.
    pub(super) fn of(table: Table, object: &Bytes) -> Result<Self, Corrupt> {
        let corrupt = |why| Corrupt::new(table.name(), why);
        let (version, ends) = numbers(object).ok_or_else(|| corrupt("it does not start like a shard's object"))?;
        let [lookups, changed, row_counts, records] = ends;
        if changed > object.len() {
            return Err(corrupt("it ends within its header"));
        }
        let rest = |range| object.get(range).map(|section| object.slice_ref(section)).unwrap_or_default();
        Ok(Self {
            version,
            lookups: object.slice(SECTIONS_AT..lookups),
            changed: object.slice(lookups..changed),
            row_counts: rest(changed..row_counts),
            records: rest(row_counts..records),
        })
    }

    /// Returns where the section `changed` ends; `None` if the bytes do not start a shard's object.
    pub(super) fn up_to_changed(start: &[u8]) -> Option<usize> {
        numbers(start).map(|(_, [_, changed, ..])| changed)
    }

    /// Returns where the section `row_counts` ends; `None` if the bytes do not start a shard's object.
    pub(super) fn up_to_row_counts(start: &[u8]) -> Option<usize> {
        numbers(start).map(|(_, [.., row_counts, _])| row_counts)
    }
}

/// Returns the version, and where each section ends.
fn numbers(object: &[u8]) -> Option<(u64, [usize; NUMBERS - 1])> {
    let (numbers, _) = object.strip_prefix(MAGIC)?.as_chunks::<NUMBER_BYTES>();
    let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
    let (version, mut end, mut ends) = (numbers.next()?, SECTIONS_AT, [0; NUMBERS - 1]);
    for section_end in &mut ends {
        end = end.checked_add(usize::try_from(numbers.next()?).ok()?)?;
        *section_end = end;
    }
    Some((version, ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table::CustomerTrusted;

    fn object() -> Bytes {
        let [lookups, changed, row_counts, records] =
            ["lookups", "changed", "row_counts", "records"].map(|text| Bytes::from_static(text.as_bytes()));
        let header = Header { version: 7, lookups, changed, row_counts, records };
        [MAGIC, &header.encode(), b"rows"].concat().into()
    }

    fn sections(header: &Header) -> [&[u8]; NUMBERS - 1] {
        [&header.lookups, &header.changed, &header.row_counts, &header.records].map(|section| &section[..])
    }

    #[test]
    fn sections_are_found_again() {
        let header = Header::of(TABLE, &object()).unwrap();
        assert_eq!((header.version, sections(&header)), (7, [&b"lookups"[..], b"changed", b"row_counts", b"records"]));
    }

    #[test]
    fn the_needed_bytes_are_enough_and_fewer_are_not() {
        let object = object();
        let of = |bytes| Header::of(TABLE, &object.slice(..bytes));
        let changed = Header::up_to_changed(&object[..SECTIONS_AT]).unwrap();
        assert_eq!(sections(&of(changed).unwrap()), [&b"lookups"[..], b"changed", b"", b""]);
        assert!((0..changed).all(|bytes| of(bytes).is_err()));
        let row_counts = Header::up_to_row_counts(&object[..SECTIONS_AT]).unwrap();
        assert_eq!(sections(&of(row_counts).unwrap()), [&b"lookups"[..], b"changed", b"row_counts", b""]);
        assert_eq!(sections(&of(row_counts - 1).unwrap())[2], b"");
        assert!((0..SECTIONS_AT).all(|bytes| Header::up_to_changed(&object[..bytes]).is_none()));
    }

    #[test]
    fn lengths_beyond_all_memory_are_refused() {
        for number in 1..NUMBERS {
            let mut object = object().to_vec();
            object[MAGIC.len() + number * NUMBER_BYTES..][..NUMBER_BYTES].fill(0xff);
            assert!(Header::up_to_changed(&object).is_none());
            assert!(Header::of(TABLE, &object.into()).is_err());
        }
    }
}
