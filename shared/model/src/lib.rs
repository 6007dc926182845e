//! The words of STEDI Lake as types: tables, object keys, hashes, partitions, the lake config, the customer record.
//!
//! Pure: no I/O, no clock, no randomness, no globals, and no file format.
//!
//! | module | what it holds |
//! |---|---|
//! | [`table`] | the eight tables: one definition of their columns, for Parquet, Glue and DDL alike |
//! | [`layout`] | every object key, both ways: from meaning to key, and from key to meaning |
//! | [`hash`], [`time`] | key hashes and customer shards; partitions, and which times are believable |
//! | [`customer`] | the customer record, and which record of a customer is the latest |
//! | [`lake_config`] | what is fixed when a lake is made |

pub mod customer;
pub mod hash;
pub mod lake_config;
pub mod layout;
pub mod table;
pub mod time;
