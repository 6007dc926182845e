//! `ID.csv.metadata`: the columns of a result, as Protocol Buffers.
//!
//! Athena does not document the format. Clients that read results from S3 rely on this one: message 4 repeats, one for
//! each column. Its fields are catalog, schema, table, name, label and type (1 to 6, text), precision, scale and nullable
//! (7 to 9, numbers; nullable 3 is unknown), and whether the column is case-sensitive (10).

use super::execution::ResultColumn;

const COLUMN: u64 = 4;
const NULLABLE_UNKNOWN: u64 = 3;
const VARINT: u64 = 0;
const BYTES: u64 = 2;

/// Encodes the columns.
pub(super) fn encoded(columns: &[ResultColumn]) -> Vec<u8> {
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

/// Seven bits per byte, the lowest first. All bytes but the last have the eighth bit set.
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
    fn column_is_encoded_as_message() {
        let column = ResultColumn { name: "n".into(), kind: "bigint".into(), precision: 300, scale: 0, is_text: true };
        let message = b"\x0a\x04hive\x22\x01n\x2a\x01n\x32\x06bigint\x38\xac\x02\x40\x00\x48\x03\x50\x01";
        let expected = [&[0x22, message.len() as u8], &message[..]].concat();
        assert_eq!(encoded(&[column]), expected);
    }
}
