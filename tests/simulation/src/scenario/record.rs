//! Customer records: as clients should write them, and as they also do.

use super::MIDNIGHT_MS;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// 2099-04-16, so far in the future that it cannot be right.
pub const AHEAD_MS: i64 = 4_080_000_000_000;

/// How many spellings of an email there are.
pub const SPELLINGS: u8 = 6;

/// Stands for a byte that is not UTF-8.
pub(super) const NOT_UTF_8: char = char::REPLACEMENT_CHARACTER;

/// A customer record. Times are milliseconds since [`MIDNIGHT_MS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The customer; all personal values are made from this name. It is in lower case and in Unicode NFC.
    pub name: String,
    /// How the record spells email and serial number, below [`SPELLINGS`].
    pub spelling: u8,
    /// A part of the phone number, to distinguish records.
    pub phone: u8,
    /// The number of the device, if the record names one.
    pub device: Option<u8>,
    /// `registrationDate`
    pub registered: Option<i64>,
    /// `lastUpdateDate`
    pub updated: Option<i64>,
    /// `shareWithResearchAsOfDate`
    pub research: Research,
    /// What is wrong with another field.
    pub spoiled: Option<Spoiled>,
}

/// `shareWithResearchAsOfDate` of a record.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Research {
    /// The field is absent.
    Absent,
    /// `null`
    Null,
    /// 0
    Zero,
    /// `"0"`
    ZeroText,
    /// `false`
    False,
    /// `""`
    Empty,
    /// A blank text.
    Blank,
    /// Consent since this time, in milliseconds after [`MIDNIGHT_MS`].
    Since(i64),
    /// `"no"`
    Text,
    /// The field occurs twice, with different values.
    Twice,
    /// A date in 2099.
    Ahead,
    /// A date in seconds.
    Seconds,
}

/// What is wrong with a field other than the consent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spoiled {
    /// `phone` is an object.
    Phone,
    /// `phone` occurs twice.
    PhoneTwice,
    /// `customerName` has a byte that is not UTF-8.
    NameBytes,
    /// `registrationDate` is a text.
    RegisteredText,
    /// `lastUpdateDate` is a text.
    UpdatedText,
    /// `lastUpdateDate` is in seconds.
    UpdatedSeconds,
    /// `lastUpdateDate` is in 2099.
    UpdatedAhead,
    /// `email` occurs twice.
    EmailTwice,
}

impl Research {
    /// All kinds that are rare.
    pub const RARE: [Self; 8] =
        [Self::ZeroText, Self::False, Self::Empty, Self::Blank, Self::Text, Self::Twice, Self::Ahead, Self::Seconds];
}

impl Spoiled {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Phone,
        Self::PhoneTwice,
        Self::NameBytes,
        Self::RegisteredText,
        Self::UpdatedText,
        Self::UpdatedSeconds,
        Self::UpdatedAhead,
        Self::EmailTwice,
    ];
}

impl Record {
    /// `email`, as the record spells it.
    pub fn email(&self) -> String {
        spelled_email(&self.name, self.spelling)
    }

    /// `customerName`
    pub fn full_name(&self) -> String {
        format!("Dr. {} Surname", self.name)
    }

    /// `phone`
    pub fn phone(&self) -> String {
        format!("555-{}-{}", self.name, self.phone)
    }

    /// `birthDay`; a year before 1677, as in the reference data.
    pub fn birthday(&self) -> String {
        format!("1399-{}", self.name)
    }

    /// `serialNumber`, as the record spells it.
    pub fn serial(&self) -> Option<String> {
        self.device.map(|device| spelled_serial(device, self.spelling))
    }

    /// The record as JSON. [`NOT_UTF_8`] stands for a byte that is not UTF-8.
    pub(super) fn json(&self) -> String {
        let date = |ms: Option<i64>| ms.map(|ms| json!(MIDNIGHT_MS + ms));
        let mut fields = vec![
            ("customerName", Some(json!(self.full_name()))),
            ("email", Some(json!(self.email()))),
            ("phone", Some(json!(self.phone()))),
            ("birthDay", Some(json!(self.birthday()))),
            ("serialNumber", self.serial().map(|serial| json!(serial))),
            ("registrationDate", date(self.registered)),
            ("lastUpdateDate", date(self.updated)),
        ];
        let mut set = |name: &str, value| {
            fields.iter_mut().filter(|(other, _)| *other == name).for_each(|(_, old)| *old = Some(json!(value)));
        };
        let in_seconds = json!(MIDNIGHT_MS / 1000);
        match self.spoiled {
            Some(Spoiled::Phone) => set("phone", json!({"number": self.phone()})),
            Some(Spoiled::NameBytes) => set("customerName", json!(format!("Dr. {NOT_UTF_8} Surname"))),
            Some(Spoiled::RegisteredText) => set("registrationDate", json!("yesterday")),
            Some(Spoiled::UpdatedText) => set("lastUpdateDate", json!("yesterday")),
            Some(Spoiled::UpdatedSeconds) => set("lastUpdateDate", in_seconds.clone()),
            Some(Spoiled::UpdatedAhead) => set("lastUpdateDate", json!(AHEAD_MS)),
            Some(Spoiled::PhoneTwice) => fields.push(("phone", Some(json!("555")))),
            Some(Spoiled::EmailTwice) => fields.push(("email", Some(json!(email("other"))))),
            None => {}
        }
        let research = match self.research {
            Research::Absent => vec![],
            Research::Null => vec![Value::Null],
            Research::Zero => vec![json!(0)],
            Research::ZeroText => vec![json!("0")],
            Research::False => vec![json!(false)],
            Research::Empty => vec![json!("")],
            Research::Blank => vec![json!("  ")],
            Research::Since(ms) => vec![json!(MIDNIGHT_MS + ms)],
            Research::Text => vec![json!("no")],
            Research::Twice => vec![json!(0), json!(MIDNIGHT_MS)],
            Research::Ahead => vec![json!(AHEAD_MS)],
            Research::Seconds => vec![in_seconds],
        };
        fields.extend(research.into_iter().map(|value| ("shareWithResearchAsOfDate", Some(value))));
        // Not a map, because a field may occur twice.
        let fields = fields.into_iter().filter_map(|(name, value)| Some(format!("\"{name}\":{}", value?)));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    }
}

/// The email of a customer, which is also the customer's identity.
pub fn email(name: &str) -> String {
    format!("{name}@example.com")
}

/// An email in one of its spellings.
pub fn spelled_email(name: &str, spelling: u8) -> String {
    let email = email(name);
    let decomposed = |email: String| email.replace('é', "e\u{301}").replace('É', "E\u{301}");
    match spelling {
        0 => email,
        1 => email.to_uppercase(),
        2 => email[..1].to_uppercase() + &email[1..],
        3 => format!(" {email}\u{a0}"),
        4 => decomposed(email),
        _ => format!("\t{} ", decomposed(email.to_uppercase())),
    }
}

/// The serial number of a device, which is also the device's identity.
pub fn serial(device: u8) -> String {
    format!("serial-number-{device}")
}

/// A serial number in one of its spellings.
pub fn spelled_serial(device: u8, spelling: u8) -> String {
    let serial = serial(device);
    match spelling {
        3 => format!(" {serial}\u{a0}"),
        5 => format!("\t{serial} "),
        _ => serial,
    }
}
