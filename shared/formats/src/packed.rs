//! Parts of objects that are read as a whole, compressed.

use crate::Corrupt;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// `what`, much of which is alike, as a part of an object that is `of` a kind.
pub(crate) fn packed<T: Serialize + ?Sized>(of: &'static str, what: &T) -> Result<Bytes, Corrupt> {
    let corrupt = |error: &dyn Display| Corrupt::new(of, error);
    let plain = postcard::to_allocvec(what).map_err(|error| corrupt(&error))?;
    zstd::encode_all(plain.as_slice(), 1).map(Bytes::from).map_err(|error| corrupt(&error))
}

/// What a packed part holds.
pub(crate) fn unpacked<T: DeserializeOwned>(of: &'static str, part: &[u8]) -> Result<T, Corrupt> {
    let corrupt = |error: &dyn Display| Corrupt::new(of, error);
    let plain = zstd::decode_all(part).map_err(|error| corrupt(&error))?;
    match postcard::take_from_bytes(&plain).map_err(|error| corrupt(&error))? {
        (what, []) => Ok(what),
        _ => Err(corrupt(&"a packed part of it goes on behind its end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_part_is_what_was_packed_and_no_more() {
        let what = vec!["a".to_owned(), "b".to_owned()];
        let part = packed("test", &what).unwrap();
        assert_eq!(unpacked::<Vec<String>>("test", &part).unwrap(), what);
        assert!((0..part.len()).all(|bytes| unpacked::<Vec<String>>("test", &part[..bytes]).is_err()));
        let more = [zstd::decode_all(&part[..]).unwrap(), vec![0]].concat();
        let part = zstd::encode_all(&more[..], 1).unwrap();
        assert!(unpacked::<Vec<String>>("test", &part).is_err());
    }
}
