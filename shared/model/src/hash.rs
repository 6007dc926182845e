//! Key hashes and shards.

use crate::identity;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// The hash of a customer's or a device's identity: the first 128 bits of its SHA-256.
///
/// State that must not hold personal data holds this hash instead: the key index, the latest-reading index, and the records of
/// customers without consent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 16]);

impl KeyHash {
    /// Returns the hash of an [identity].
    pub fn of(identity: &str) -> Self {
        Self(first_of_sha_256(identity.as_bytes()))
    }

    /// Returns the hash of the customer with this email.
    pub fn of_email(email: &str) -> Self {
        Self::of(&identity::of_email(email))
    }

    /// Returns the hash of the device with this serial number; `None` if it is blank.
    pub fn of_serial_number(serial_number: &str) -> Option<Self> {
        Some(identity::of_serial_number(serial_number)).filter(|identity| !identity.is_empty()).map(Self::of)
    }

    /// Returns the shard of a customer with this hash.
    pub fn shard(self, shards: ShardCount) -> Shard {
        let mut high = [0; 8];
        high.copy_from_slice(&self.0[..8]);
        Shard((u64::from_be_bytes(high) % u64::from(shards.get())) as u16)
    }

    /// Returns the part of the key index that has this key.
    pub fn index_part(self) -> IndexPart {
        IndexPart(self.0[0] >> 4)
    }
}

impl KeyHash {
    /// Returns its bytes.
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Returns the hash that has these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    fn digits(self) -> [u8; 32] {
        let mut digits = [0; 32];
        hexadecimal(&self.0, &mut digits);
        digits
    }
}

/// Writes two hexadecimal digits for each byte.
fn hexadecimal(bytes: &[u8], digits: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// Returns ASCII digits as text.
fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(text(&self.digits()))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({self})")
    }
}

/// The error for a text that is not a key hash.
#[derive(Debug, thiserror::Error)]
#[error("a key hash has 32 hexadecimal digits, not {0:?}")]
pub struct NoKeyHash(String);

impl FromStr for KeyHash {
    type Err = NoKeyHash;

    fn from_str(text: &str) -> Result<Self, NoKeyHash> {
        let no = || NoKeyHash(text.to_owned());
        if text.len() != 32 {
            return Err(no());
        }
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(no()),
        };
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

/// Writes text in human-readable formats, and bytes in the others.
impl Serialize for KeyHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.serialize_str(text(&self.digits())),
            false => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <[u8; 16]>::deserialize(deserializer).map(Self);
        }
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One of the 16 parts of the key index, by the first digit of the key's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexPart(u8);

impl IndexPart {
    /// Returns all parts.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..16).map(Self)
    }
}

impl fmt::Display for IndexPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Returns a name for an object with this content: the first 128 bits of its SHA-256 as 32 hexadecimal digits.
pub fn content_name(bytes: &[u8]) -> String {
    KeyHash(first_of_sha_256(bytes)).to_string()
}

fn first_of_sha_256<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let digest = Sha256::digest(bytes);
    std::array::from_fn(|i| digest[i])
}

/// A digest of a text: the first 128 bits of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentDigest([u8; 16]);

impl ContentDigest {
    /// Returns the digest of `text`.
    pub fn of(text: &str) -> Self {
        Self(first_of_sha_256(text.as_bytes()))
    }
}

/// The number of customer shards of a lake (`CUSTOMER_SHARDS`). It is fixed when the lake is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ShardCount(u16);

impl ShardCount {
    /// The most shards of a lake. It is bounded because each step trainer file reads all shards.
    pub const MAX: u16 = 1024;

    /// Returns the number of shards.
    pub fn get(self) -> u16 {
        self.0
    }

    /// Returns all shards of such a lake.
    pub fn all(self) -> impl Iterator<Item = Shard> {
        (0..self.0).map(Shard)
    }

    /// Whether a lake with this many shards has `shard`.
    pub fn holds(self, shard: Shard) -> bool {
        shard.0 < self.0
    }
}

impl Default for ShardCount {
    fn default() -> Self {
        Self(16)
    }
}

/// The error for a number of shards out of range.
#[derive(Debug, thiserror::Error)]
#[error("CUSTOMER_SHARDS is {0}, expected 1 to {max}", max = ShardCount::MAX)]
pub struct BadShardCount(u16);

impl TryFrom<u16> for ShardCount {
    type Error = BadShardCount;

    fn try_from(count: u16) -> Result<Self, BadShardCount> {
        if (1..=Self::MAX).contains(&count) { Ok(Self(count)) } else { Err(BadShardCount(count)) }
    }
}

impl From<ShardCount> for u16 {
    fn from(count: ShardCount) -> u16 {
        count.0
    }
}

/// One customer shard, written as at least two digits (`07`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shard(u16);

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

impl Shard {
    /// Parses a shard as [`Shard`]'s `Display` writes it; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let shard = Self(text.parse().ok()?);
        (shard.to_string() == text).then_some(shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_hash_survives_its_text() {
        let hash = KeyHash::of("ann@example.com");
        assert_eq!(hash.to_string().parse::<KeyHash>().ok(), Some(hash));
        assert_eq!(hash.to_string().len(), 32);
        assert!("zz".parse::<KeyHash>().is_err());
    }

    #[test]
    fn keys_are_distributed_over_all_shards() {
        let count = ShardCount::default();
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..1000 {
            let shard = KeyHash::of(&format!("customer{i}@example.com")).shard(count);
            assert!(count.holds(shard));
            seen.insert(shard);
        }
        assert_eq!(seen.len(), 16);
    }

    #[test]
    fn a_shard_is_parsed_only_as_it_is_written() {
        assert_eq!(Shard::parse("07"), Some(Shard(7)));
        assert_eq!(Shard::parse("123"), Some(Shard(123)));
        for wrong in ["7", "007", "x", "-1", "+7", ""] {
            assert_eq!(Shard::parse(wrong), None, "{wrong}");
        }
    }
}
