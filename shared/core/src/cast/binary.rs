//! `bytea` and `uuid`.

use crate::cast::misfit::Misfit;
use crate::cell::Cell;
use crate::column_type::Base;
use crate::value::Value;

pub(super) fn bytea(value: &Value) -> Result<Cell, Misfit> {
    match value {
        Value::Bytes(bytes) => Ok(Cell::Bytes(bytes.clone())),
        // Base64 is not taken: every word of four letters is base64 too.
        Value::Text(text) => text
            .strip_prefix("\\x")
            .and_then(bytes)
            .map(Cell::Bytes)
            .ok_or_else(|| Misfit::form("\\x and pairs of hex digits", &Base::Bytea)),
        _ => Err(Misfit::kind(value, &Base::Bytea)),
    }
}

pub(super) fn uuid(value: &Value) -> Result<Cell, Misfit> {
    match value {
        Value::Text(text) => {
            read_uuid(text.as_bytes()).map(Cell::Uuid).ok_or_else(|| Misfit::form("a uuid", &Base::Uuid))
        }
        Value::Bytes(bytes) => <[u8; 16]>::try_from(&bytes[..])
            .map(Cell::Uuid)
            .map_err(|_| Misfit::new(format!("binary of {} bytes where uuid takes 16", bytes.len()))),
        _ => Err(Misfit::kind(value, &Base::Uuid)),
    }
}

/// As `uuid_in` of Postgres: braces around it or none, a hyphen or none after any group of four digits.
fn read_uuid(text: &[u8]) -> Option<[u8; 16]> {
    let mut rest = match text {
        [b'{', inner @ .., b'}'] => inner,
        _ => text,
    };
    let mut uuid = [0; 16];
    for (index, byte) in uuid.iter_mut().enumerate() {
        let [high, low, tail @ ..] = rest else { return None };
        *byte = pair(*high, *low)?;
        rest = match tail {
            [b'-', tail @ ..] if index % 2 == 1 && index < 15 => tail,
            _ => tail,
        };
    }
    rest.is_empty().then_some(uuid)
}

fn bytes(hex: &str) -> Option<Box<[u8]>> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| pair(*high, *low)).collect()
}

const NO_DIGIT: u8 = 0xff;

/// The value of each byte as a hex digit. A table, because keys are uuids more often than not.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

fn pair(high: u8, low: u8) -> Option<u8> {
    let (high, low) = (DIGITS[high as usize], DIGITS[low as usize]);
    (high | low < 16).then_some(high << 4 | low)
}

#[cfg(test)]
mod tests {
    use crate::cast::samples::{check, misfit, number};
    use crate::value::Value;

    #[test]
    fn a_uuid_in_every_spelling_is_one() {
        for text in [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11}",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            check("uuid", text, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        }
        check("uuid", Value::Bytes([1; 16].into()), "01010101-0101-0101-0101-010101010101");
        for bad in [
            "",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
            "a0-eebc999c0b4ef8bb6d6bb9bd380a11",
            " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11}",
            "urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "{",
            "ää",
        ] {
            misfit("uuid", bad, "text that is not a uuid where uuid is expected");
        }
        misfit("uuid", Value::Bytes([1; 15].into()), "binary of 15 bytes where uuid takes 16");
        misfit("uuid", number("1"), "a number where uuid is expected");
    }

    #[test]
    fn bytea_takes_binary_and_hex() {
        check("bytea", Value::Bytes([0, 255].into()), "\\x00ff");
        check("bytea", Value::Bytes([].into()), "\\x");
        check("bytea", "\\xDEad", "\\xdead");
        for bad in ["", "AP8=", "\\xdea", "\\xzz", "\\X00", "\\000", "\\xää"] {
            misfit("bytea", bad, "text that is not \\x and pairs of hex digits where bytea is expected");
        }
        misfit("bytea", true, "a boolean where bytea is expected");
    }
}
