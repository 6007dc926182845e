//! Identities: what makes two spellings one customer, or one device.

use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// Returns the identity of the customer with this email: trimmed, in Unicode NFC, and in lower case.
pub fn of_email(email: &str) -> Cow<'_, str> {
    let trimmed = email.trim();
    if trimmed.is_ascii() {
        // NFC does not change ASCII.
        return match trimmed.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(trimmed.to_ascii_lowercase()),
            false => Cow::Borrowed(trimmed),
        };
    }
    let composed: String = trimmed.nfc().collect();
    // Lower case may decompose a letter.
    Cow::Owned(composed.to_lowercase().nfc().collect())
}

/// Returns the identity of the device with this serial number: trimmed.
pub fn of_serial_number(serial_number: &str) -> &str {
    serial_number.trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_email_have_one_identity() {
        for (spelling, identity) in [
            ("ann@example.com", "ann@example.com"),
            (" Ann@Example.COM\t", "ann@example.com"),
            ("\u{a0}ann@example.com\u{2003}", "ann@example.com"),
            ("JOS\u{c9}@example.com", "jos\u{e9}@example.com"),
            ("jose\u{301}@example.com", "jos\u{e9}@example.com"),
            ("JOSE\u{301}@example.com", "jos\u{e9}@example.com"),
            ("\u{212b}ke@example.com", "\u{e5}ke@example.com"),
            (" \n ", ""),
        ] {
            assert_eq!(of_email(spelling), identity, "{spelling:?}");
        }
    }

    #[test]
    fn a_serial_number_is_trimmed_and_keeps_its_case() {
        assert_eq!(of_serial_number(" aB-1 \n"), "aB-1");
    }

    proptest! {
        #[test]
        fn an_identity_is_its_own_identity(email in any::<String>()) {
            let identity = of_email(&email).into_owned();
            prop_assert_eq!(&of_email(&identity), &identity);
        }
    }
}
