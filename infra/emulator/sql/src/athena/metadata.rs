//! `ID.csv.metadata`: the columns of a result, as Protocol Buffers.
//!
//! Athena documents no format for this file, but clients that read results from S3 were published with what they find
//! in it: a repeated message 4 of one column each, with catalog, schema, table, name, label, type (1 to 6, text),
//! precision, scale, nullable (7 to 9, numbers; nullable 3 is unknown) and whether upper and lower case differ (10).

use super::execution::Described;

const COLUMN: u64 = 4;
const NULLABLE_UNKNOWN: u64 = 3;
const VARINT: u64 = 0;
const BYTES: u64 = 2;

/// The file's content.
pub(super) fn encoded(columns: &[Described]) -> Vec<u8> {
    let mut file = Vec::new();
    for column in columns {
        let mut message = Vec::new();
        for (field, value) in [(1, "hive"), (4, &column.name), (5, &column.name), (6, &column.kind)] {
            bytes(&mut message, field, value.as_bytes());
        }
        let numbers = [
            (7, column.precision.into()),
            (8, column.scale.into()),
            (9, NULLABLE_UNKNOWN),
            (10, column.is_text.into()),
        ];
        for (field, value) in numbers {
            varint(&mut message, field << 3 | VARINT);
            varint(&mut message, value);
        }
        bytes(&mut file, COLUMN, &message);
    }
    file
}

fn bytes(into: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(into, field << 3 | BYTES);
    varint(into, value.len() as u64);
    into.extend_from_slice(value);
}

/// Seven bits a byte, the lowest first; all bytes but the last have the eighth bit set.
fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_a_message_of_its_parts() {
        let column = Described { name: "n".into(), kind: "bigint".into(), precision: 300, scale: 0, is_text: true };
        let message = b"\x0a\x04hive\x22\x01n\x2a\x01n\x32\x06bigint\x38\xac\x02\x40\x00\x48\x03\x50\x01";
        let expected = [&[0x22, message.len() as u8], &message[..]].concat();
        assert_eq!(encoded(&[column]), expected);
    }
}
