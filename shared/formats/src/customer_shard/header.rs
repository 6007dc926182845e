//! The header of a shard's object: the data that functions look up without reading rows.
//!
//! Parquet allows any bytes between its magic bytes and the first row group, and readers of the table skip them. One request
//! for the first bytes of the object reads the header; it takes no footer. Lookups work on the stored bytes.

use crate::Corrupt;
use bytes::Bytes;
use model::table::Table;

const MAGIC: &[u8] = b"PAR1";
/// The version of the shard and the length of each section, little-endian.
const NUMBERS: usize = 1 + SECTIONS;
const SECTIONS: usize = 5;
const NUMBER_BYTES: usize = 8;
const SECTIONS_AT: usize = MAGIC.len() + NUMBERS * NUMBER_BYTES;

/// The version of a shard, and its sections of bytes. A shard leaves the sections empty that it does not need.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    pub(super) version: u64,
    /// The date of the consent of each customer, by the hash of the customer.
    pub(super) consents: Bytes,
    /// The emails that are not spelled like the customer's identity.
    pub(super) spellings: Bytes,
    /// The version in which each key last changed, by the hash of the key.
    pub(super) changed: Bytes,
    /// Which customers name which devices.
    pub(super) claims: Bytes,
    /// The state of every customer record of the shard.
    pub(super) records: Bytes,
}

impl Header {
    /// Returns the sections in the order in which they are stored.
    fn sections(&self) -> [&Bytes; SECTIONS] {
        let Self { version: _, consents, spellings, changed, claims, records } = self;
        [consents, spellings, changed, claims, records]
    }

    /// Returns the bytes that follow the magic bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let sections = self.sections();
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
        if ends[CHANGED] > object.len() {
            return Err(corrupt("it ends within its header"));
        }
        let mut start = SECTIONS_AT;
        let [consents, spellings, changed, claims, records] = ends.map(|end| {
            let section = object.get(start..end).map(|section| object.slice_ref(section));
            start = end;
            section.unwrap_or_default()
        });
        Ok(Self { version, consents, spellings, changed, claims, records })
    }

    /// Returns where the section `changed` ends; `None` if the bytes do not start a shard's object.
    pub(super) fn up_to_changed(start: &[u8]) -> Option<usize> {
        numbers(start).map(|(_, ends)| ends[CHANGED])
    }
}

/// The position of the section that functions read up to.
const CHANGED: usize = 2;

/// Returns the version, and where each section ends.
fn numbers(object: &[u8]) -> Option<(u64, [usize; SECTIONS])> {
    let (numbers, _) = object.strip_prefix(MAGIC)?.as_chunks::<NUMBER_BYTES>();
    let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
    let (version, mut end, mut ends) = (numbers.next()?, SECTIONS_AT, [0; SECTIONS]);
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
    const NAMES: [&str; SECTIONS] = ["consents", "spellings", "changed", "claims", "records"];

    fn object() -> Bytes {
        let [consents, spellings, changed, claims, records] = NAMES.map(|text| Bytes::from_static(text.as_bytes()));
        let header = Header { version: 7, consents, spellings, changed, claims, records };
        [MAGIC, &header.encode(), b"rows"].concat().into()
    }

    #[test]
    fn sections_are_found_again() {
        let header = Header::of(TABLE, &object()).unwrap();
        assert_eq!((header.version, header.sections().map(|section| &section[..])), (7, NAMES.map(str::as_bytes)));
    }

    #[test]
    fn the_needed_bytes_are_enough_and_fewer_are_not() {
        let object = object();
        let of = |bytes| Header::of(TABLE, &object.slice(..bytes));
        let changed = Header::up_to_changed(&object[..SECTIONS_AT]).unwrap();
        assert_eq!(of(changed).unwrap().sections().map(|s| s.len()), [8, 9, 7, 0, 0]);
        assert!((0..changed).all(|bytes| of(bytes).is_err()));
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
