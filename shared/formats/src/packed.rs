//! Compressed parts of objects. A reader always decompresses the whole part.

use crate::Corrupt;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// Compresses `what` as a part of an object. `of` names the object in errors.
pub(crate) fn packed<T: Serialize + ?Sized>(of: &'static str, what: &T) -> Result<Bytes, Corrupt> {
    let corrupt = |error: &dyn Display| Corrupt::new(of, error);
    let plain = postcard::to_allocvec(what).map_err(|error| corrupt(&error))?;
    zstd::encode_all(plain.as_slice(), 1).map(Bytes::from).map_err(|error| corrupt(&error))
}

/// Reads a part that [`packed`] wrote. `of` names the object in errors.
pub(crate) fn unpacked<T: DeserializeOwned>(of: &'static str, part: &[u8]) -> Result<T, Corrupt> {
    let corrupt = |error: &dyn Display| Corrupt::new(of, error);
    let plain = zstd::decode_all(part).map_err(|error| corrupt(&error))?;
    match postcard::take_from_bytes(&plain).map_err(|error| corrupt(&error))? {
        (what, []) => Ok(what),
        _ => Err(corrupt(&"a packed part of it has bytes after its end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_survives_packing_and_refuses_other_lengths() {
        let what = vec!["a".to_owned(), "b".to_owned()];
        let part = packed("test", &what).unwrap();
        assert_eq!(unpacked::<Vec<String>>("test", &part).unwrap(), what);
        assert!((0..part.len()).all(|bytes| unpacked::<Vec<String>>("test", &part[..bytes]).is_err()));
        let more = [zstd::decode_all(&part[..]).unwrap(), vec![0]].concat();
        let part = zstd::encode_all(&more[..], 1).unwrap();
        assert!(unpacked::<Vec<String>>("test", &part).is_err());
    }
}
