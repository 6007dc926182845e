//! What stands in front of the rows of a shard's object: what functions look up in it.
//!
//! Parquet allows anything between its magic bytes and the first row group, and readers of the table never see it. There it
//! is found without reading the footer, by one request for the first bytes of an object; and it is used as it is, without
//! decoding it.

use crate::Corrupt;
use crate::table::Table;
use bytes::Bytes;

const MAGIC: &[u8] = b"PAR1";
/// The version of the shard and the length of each section, little-endian.
const NUMBERS: usize = 4;
const NUMBER_BYTES: usize = 8;
const SECTIONS_AT: usize = MAGIC.len() + NUMBERS * NUMBER_BYTES;

/// The version of a shard, and three sections of bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Front {
    pub(super) version: u64,
    /// Who consents, and since when: numbers by the hash of the email.
    pub(super) consents: Bytes,
    /// Which keys changed in which version: numbers by the hash of the key.
    pub(super) changed: Bytes,
    /// What the shard remembers of records.
    pub(super) records: Bytes,
}

impl Front {
    /// What is to be written behind the magic bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let sections = [&self.consents, &self.changed, &self.records];
        let lengths = sections.map(|section| section.len() as u64);
        let mut bytes = Vec::with_capacity(SECTIONS_AT + lengths.iter().sum::<u64>() as usize);
        [self.version].iter().chain(&lengths).for_each(|number| bytes.extend(number.to_le_bytes()));
        sections.iter().for_each(|section| bytes.extend_from_slice(section));
        bytes
    }

    /// The front of an object of which at least as much is at hand as is [needed for changes](Self::needed); where records
    /// are not at hand, they are none.
    pub(super) fn of(table: Table, object: &Bytes) -> Result<Self, Corrupt> {
        let corrupt = |why| Corrupt::new(table.name(), why);
        let (version, ends) = numbers(object).ok_or_else(|| corrupt("it does not begin as a shard's object"))?;
        let [consents, changed, records] = ends;
        if changed > object.len() {
            return Err(corrupt("it ends before the lookups that it begins with"));
        }
        Ok(Self {
            version,
            consents: object.slice(SECTIONS_AT..consents),
            changed: object.slice(consents..changed),
            records: object.get(changed..records).map(|records| object.slice_ref(records)).unwrap_or_default(),
        })
    }

    /// How many bytes of an object hold all but the records; none of what is no such object.
    pub(super) fn needed(start: &[u8]) -> Option<usize> {
        numbers(start).map(|(_, [_, changed, _])| changed)
    }
}

/// The version, and where each section ends.
fn numbers(object: &[u8]) -> Option<(u64, [usize; NUMBERS - 1])> {
    let (numbers, _) = object.strip_prefix(MAGIC)?.as_chunks::<NUMBER_BYTES>();
    let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
    let (version, mut end, mut ends) = (numbers.next()?, SECTIONS_AT, [0; NUMBERS - 1]);
    for place in &mut ends {
        end = end.checked_add(usize::try_from(numbers.next()?).ok()?)?;
        *place = end;
    }
    Some((version, ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table::CustomerTrusted;

    fn object() -> Bytes {
        let [consents, changed, records] =
            ["consents", "changed", "records"].map(|text| Bytes::from_static(text.as_bytes()));
        let front = Front { version: 7, consents, changed, records };
        [MAGIC, &front.encode(), b"rows"].concat().into()
    }

    #[test]
    fn sections_are_found_again() {
        let front = Front::of(TABLE, &object()).unwrap();
        let sections = [&front.consents, &front.changed, &front.records].map(|section| &section[..]);
        assert_eq!((front.version, sections), (7, [&b"consents"[..], b"changed", b"records"]));
    }

    #[test]
    fn the_needed_bytes_are_enough_and_fewer_are_not() {
        let object = object();
        let needed = Front::needed(&object[..SECTIONS_AT]).unwrap();
        let front = Front::of(TABLE, &object.slice(..needed)).unwrap();
        assert_eq!(
            (&front.consents[..], &front.changed[..], front.records.len()),
            (&b"consents"[..], &b"changed"[..], 0)
        );
        assert!((0..needed).all(|bytes| Front::of(TABLE, &object.slice(..bytes)).is_err()));
        assert!((0..SECTIONS_AT).all(|bytes| Front::needed(&object[..bytes]).is_none()));
    }

    #[test]
    fn lengths_beyond_all_memory_are_refused() {
        for place in 1..NUMBERS {
            let mut object = object().to_vec();
            object[MAGIC.len() + place * NUMBER_BYTES..][..NUMBER_BYTES].fill(0xff);
            assert!(Front::needed(&object).is_none());
            assert!(Front::of(TABLE, &object.into()).is_err());
        }
    }
}
