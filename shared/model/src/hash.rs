//! Key hashes and shards.

use crate::count::count;
use crate::identity;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The secret of a lake (`HASH_KEY`): hashes of identities are made with it. Without the key they do not tell whose they are.
#[derive(Clone)]
pub struct HashKey(Arc<Hmac<Sha256>>);

impl HashKey {
    /// The number of its bytes.
    pub const BYTES: usize = 32;

    /// Returns the key with these bytes.
    pub fn new(secret: &[u8; Self::BYTES]) -> Self {
        let mut block = [0; SHA_256_BLOCK_BYTES];
        block[..Self::BYTES].copy_from_slice(secret);
        Self(Arc::new(Hmac::new(&block.into())))
    }

    /// Returns the key of lakes that hold nothing secret: those of tests, and those that are only read.
    pub fn public() -> Self {
        Self::new(&[0; Self::BYTES])
    }

    /// Returns the hash of an [identity].
    pub fn of(&self, identity: &str) -> KeyHash {
        KeyHash(self.first_of(identity))
    }

    /// Returns the hash of the customer with this email.
    pub fn of_email(&self, email: &str) -> KeyHash {
        self.of(&identity::of_email(email))
    }

    /// Returns the hash of the device with this serial number; `None` if it is blank.
    pub fn of_serial_number(&self, serial_number: &str) -> Option<KeyHash> {
        let identity = identity::of_serial_number(serial_number);
        (!identity.is_empty()).then(|| self.of(identity))
    }

    /// Returns the digest of a text.
    pub fn digest(&self, text: &str) -> ContentDigest {
        ContentDigest(self.first_of(text))
    }

    /// Returns the text by which the lake config names the key.
    pub fn fingerprint(&self) -> String {
        self.of("fingerprint of the hash key").to_string()
    }

    /// Returns the first 128 bits of an HMAC-SHA-256.
    fn first_of(&self, text: &str) -> [u8; 16] {
        let mut mac = Hmac::clone(&self.0);
        mac.update(text.as_bytes());
        first(&mac.finalize().into_bytes())
    }
}

impl PartialEq for HashKey {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

impl Eq for HashKey {}

/// Shows that there is a key, and not which.
impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}

/// The error for a text that is not a hash key. It does not show the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash key has 64 lower-case hexadecimal digits, as `openssl rand -hex 32` prints them")]
pub struct NoHashKey;

impl FromStr for HashKey {
    type Err = NoHashKey;

    fn from_str(text: &str) -> Result<Self, NoHashKey> {
        bytes_of(text).map(|secret| Self::new(&secret)).ok_or(NoHashKey)
    }
}

/// The bytes of a block of SHA-256. A key of HMAC that is shorter is padded with zeros.
const SHA_256_BLOCK_BYTES: usize = 64;

/// The hash of a customer's or a device's identity: the first 128 bits of its HMAC-SHA-256 with the [`HashKey`] of the lake.
///
/// State that must not hold personal data holds this hash instead: the key index, the latest-reading index, and the records of
/// customers without consent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 16]);

impl KeyHash {
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
        // The lengths agree.
        let _ = hex::encode_to_slice(self.0, &mut digits);
        digits
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
        bytes_of(text).map(Self).ok_or_else(|| NoKeyHash(text.to_owned()))
    }
}

/// Reads bytes of which each is written as two lower-case hexadecimal digits; `None` for any other text.
fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower_case = !text.bytes().any(|digit| digit.is_ascii_uppercase());
    (is_lower_case && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
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
    KeyHash(first(&Sha256::digest(bytes))).to_string()
}

fn first(digest: &[u8]) -> [u8; 16] {
    std::array::from_fn(|i| digest.get(i).copied().unwrap_or_default())
}

/// A digest of a text that may be personal: the first 128 bits of its HMAC-SHA-256 with the [`HashKey`] of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentDigest([u8; 16]);

/// The number of customer shards of a lake (`CUSTOMER_SHARDS`). It is fixed when the lake is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ShardCount(u16);

impl ShardCount {
    /// The most shards of a lake. More would be small, and a file of many customers reads all of them.
    pub const MAX: u16 = 1024;

    /// Returns all shards of such a lake.
    pub fn all(self) -> impl Iterator<Item = Shard> {
        (0..self.0).map(Shard)
    }

    /// Whether a lake with this many shards has `shard`.
    pub fn holds(self, shard: Shard) -> bool {
        shard.0 < self.0
    }
}

count!(
    ShardCount,
    default: 16,
    is_allowed: |count| (1..=ShardCount::MAX).contains(&count),
    BadShardCount: "`{0}` shards are not possible; expected 1 to {max}", max = ShardCount::MAX
);

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
        let hash = HashKey::public().of("ann@example.com");
        assert_eq!(hash.to_string().parse::<KeyHash>().ok(), Some(hash));
        assert_eq!(hash.to_string().len(), 32);
        assert!("zz".parse::<KeyHash>().is_err());
    }

    #[test]
    fn a_hash_is_the_start_of_an_hmac_with_the_key() {
        let key: HashKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f".parse().unwrap();
        // printf ann@example.com | openssl dgst -sha256 -mac hmac -macopt hexkey:000102…1f
        assert_eq!(key.of("ann@example.com").to_string(), "7fd723e36b1c9108cdb7920372eed445");
        assert_ne!(key.of("ann@example.com"), HashKey::public().of("ann@example.com"));
        assert_ne!(key.fingerprint(), HashKey::public().fingerprint());
        assert_eq!(format!("{key:?}"), "HashKey");
        for wrong in ["", "00", &"0".repeat(63), &"g".repeat(64)] {
            assert_eq!(wrong.parse::<HashKey>().err(), Some(NoHashKey));
        }
    }

    #[test]
    fn keys_are_distributed_over_all_shards() {
        let count = ShardCount::default();
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..1000 {
            let shard = HashKey::public().of(&format!("customer{i}@example.com")).shard(count);
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
