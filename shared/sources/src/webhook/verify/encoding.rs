//! Signatures and secrets as text.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use crate::webhook::scheme::Encoding;

/// People paste secrets with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes as text and back.
pub(super) trait Coding {
    /// The bytes; `None` when the text is not exactly what [`Coding::encode`] makes of some, but for the case of all
    /// hexadecimal digits: one signature has one text.
    fn decode(self, text: &str) -> Option<Vec<u8>>;

    /// The text.
    fn encode(self, bytes: &[u8]) -> String;
}

impl Coding for Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Encoding::Hex => hex(text),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        }
    }

    fn encode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => to_hex(bytes),
            Encoding::Base64 => STANDARD.encode(bytes),
        }
    }
}

/// The bytes of a secret in base64.
pub(super) fn base64_secret(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text).ok()
}

/// The bytes that hexadecimal digits of one case stand for.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let lower = text.bytes().any(|digit| digit.is_ascii_lowercase());
    let upper = text.bytes().any(|digit| digit.is_ascii_uppercase());
    if text.len() % 2 == 1 || (lower && upper) {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    text.as_bytes().chunks_exact(2).map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect()
}

/// Lower-case hexadecimal digits.
pub(in crate::webhook) fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_signature_has_one_text() {
        assert_eq!(hex("00fFaB".to_lowercase().as_str()), Some(vec![0, 255, 171]));
        assert_eq!(hex("00FFAB"), Some(vec![0, 255, 171]));
        for bad in ["0", "0g", "fF", "é", "0x00", " 00"] {
            assert_eq!(hex(bad), None, "{bad}");
        }
        assert_eq!(Encoding::Base64.decode("QQ=="), Some(b"A".to_vec()));
        for bad in ["QQ", "QR==", "QQ==\n", "Q-==", "QQ= ="] {
            assert_eq!(Encoding::Base64.decode(bad), None, "{bad}");
        }
        assert_eq!(base64_secret("QQ"), base64_secret("QQ=="));
    }
}
