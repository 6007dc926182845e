//! The vocabulary of STEDI Lake as types: tables, object keys, hashes, partitions, the lake config, the customer record.
//!
//! Pure: no I/O, no clock, no randomness, no globals, and no file format.
//!
//! | module | content |
//! |---|---|
//! | [`table`] | the eight tables: one definition of their columns, for Parquet, Glue and DDL alike |
//! | [`layout`] | every object key: functions that write it, and functions that parse it |
//! | [`hash`] | key hashes, content digests and customer shards |
//! | [`time`], [`mod@slice`] | partitions, slices of an hour, and the range of legal times |
//! | [`customer`] | the customer record, and which of two grants counts |
//! | [`identity`] | which spellings are one customer, or one device |
//! | [`consent`] | what a record says about the consent, and what holds after many records |
//! | [`lake_config`] | what is fixed when a lake is made |

mod count;

pub mod consent;
pub mod customer;
pub mod hash;
pub mod identity;
pub mod lake_config;
pub mod layout;
pub mod slice;
pub mod table;
pub mod time;
