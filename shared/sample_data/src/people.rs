//! Invented customers. Names combine common names, emails are at `example.com`, and phone numbers are 555-01xx.

use fastrand::Rng;

/// Given names: as written, and as an email address spells them.
const GIVEN: [(&str, &str); 40] = [
    ("Ada", "Ada"),
    ("Aïcha", "Aicha"),
    ("Amara", "Amara"),
    ("Ansel", "Ansel"),
    ("Beatriz", "Beatriz"),
    ("Björn", "Bjoern"),
    ("Callum", "Callum"),
    ("Chiara", "Chiara"),
    ("Dagny", "Dagny"),
    ("Dmitri", "Dmitri"),
    ("Eilidh", "Eilidh"),
    ("Emeka", "Emeka"),
    ("Farah", "Farah"),
    ("Felipe", "Felipe"),
    ("Greta", "Greta"),
    ("Hiroshi", "Hiroshi"),
    ("Ilse", "Ilse"),
    ("Imani", "Imani"),
    ("Jorge", "Jorge"),
    ("Kaveh", "Kaveh"),
    ("Lærke", "Laerke"),
    ("Leilani", "Leilani"),
    ("Marisol", "Marisol"),
    ("Mbali", "Mbali"),
    ("Nadia", "Nadia"),
    ("Niamh", "Niamh"),
    ("Oluwaseun", "Oluwaseun"),
    ("Petra", "Petra"),
    ("Quentin", "Quentin"),
    ("Rosalind", "Rosalind"),
    ("Søren", "Soeren"),
    ("Sunniva", "Sunniva"),
    ("Tamsin", "Tamsin"),
    ("Thandiwe", "Thandiwe"),
    ("Ulrich", "Ulrich"),
    ("Valentina", "Valentina"),
    ("Wren", "Wren"),
    ("Ximena", "Ximena"),
    ("Yusuf", "Yusuf"),
    ("Zoë", "Zoe"),
];

/// Family names: as written, and as an email address spells them. One is outside the basic plane, and one has a quote.
const FAMILY: [(&str, &str); 40] = [
    ("Abernathy", "Abernathy"),
    ("Achterberg", "Achterberg"),
    ("Bjørnstad", "Bjoernstad"),
    ("Castellanos", "Castellanos"),
    ("Chukwu", "Chukwu"),
    ("D'Amico", "DAmico"),
    ("Dąbrowski", "Dabrowski"),
    ("Eskildsen", "Eskildsen"),
    ("Fairweather", "Fairweather"),
    ("Fonseca", "Fonseca"),
    ("Grönlund", "Groenlund"),
    ("Hallorann", "Hallorann"),
    ("Hathaway", "Hathaway"),
    ("Ibarra", "Ibarra"),
    ("Jankowska", "Jankowska"),
    ("Kalashnik", "Kalashnik"),
    ("Kowalczyk", "Kowalczyk"),
    ("Lindqvist", "Lindqvist"),
    ("MacAllister", "MacAllister"),
    ("Mohapatra", "Mohapatra"),
    ("Nakagawa", "Nakagawa"),
    ("Nwosu", "Nwosu"),
    ("O'Sullivan", "OSullivan"),
    ("Ødegaard", "Oedegaard"),
    ("Papadakis", "Papadakis"),
    ("Pellegrino", "Pellegrino"),
    ("Quispe", "Quispe"),
    ("Rautenbach", "Rautenbach"),
    ("Rosenthal \"Rosie\"", "Rosenthal"),
    ("Sandoval", "Sandoval"),
    ("Sepúlveda", "Sepulveda"),
    ("Tremblay", "Tremblay"),
    ("Underhill", "Underhill"),
    ("Vandermeer", "Vandermeer"),
    ("Varga", "Varga"),
    ("Whitlock", "Whitlock"),
    ("Yamashiro", "Yamashiro"),
    ("𠮷田", "Yoshida"),
    ("Zapata", "Zapata"),
    ("Zielinski", "Zielinski"),
];

/// The personal data of a customer. The cohort decides about consents.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) email: String,
    /// One customer in 50 has none.
    pub(crate) phone: Option<String>,
    /// `YYYY-MM-DD` as the application sends it. As in the reference data, years start at 900 and are not padded.
    pub(crate) birth_day: String,
    /// The serial number of the step trainer.
    pub(crate) serial_number: String,
}

impl Person {
    /// Generates the customer of this number. No other number has the same email.
    pub(crate) fn new(number: usize, rng: &mut Rng) -> Self {
        let pairs = GIVEN.len() * FAMILY.len();
        let (given, given_mail) = GIVEN[number % GIVEN.len()];
        // This diagonal walk visits every pair once before it repeats one.
        let (family, family_mail) = FAMILY[(number + number / GIVEN.len()) % FAMILY.len()];
        let again = if number < pairs { String::new() } else { format!("{}", number / pairs + 1) };
        Self {
            name: format!("{given} {family}"),
            email: format!("{given_mail}.{family_mail}{again}@example.com"),
            phone: (rng.u8(..50) != 0).then(|| format!("{}55501{:02}", rng.u16(201..990), rng.u8(..100))),
            birth_day: format!("{}-{:02}-{:02}", rng.u16(900..2006), rng.u8(1..=12), rng.u8(1..=28)),
            serial_number: serial_number(rng),
        }
    }
}

/// Returns a random UUID, version 4.
fn serial_number(rng: &mut Rng) -> String {
    let bits = (rng.u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
