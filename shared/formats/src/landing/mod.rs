//! The bytes of a landing file → its records and what was rejected of it.
//!
//! [`LandingReader`] takes the file chunk by chunk, in bounded memory: `decode` undoes compression, `framing`
//! finds one record after the other however they are strung together, [`fields`] reads a record's fields, `layouts` does
//! so without parsing where a record is written as those before it, and a [`Collect`] turns them into a row or says why not. Every byte of the file ends as a record, as a rejection with its
//! line number, or is blank.

mod decode;
pub mod fields;
mod framing;
mod layouts;

use crate::quarantine::Quarantine;
use fields::{Fields, Rejection};
pub use layouts::Laid;

/// The largest file that is read, after decompression: its rows must fit into a function's memory.
pub const FILE_BYTES_MAX: u64 = 1 << 30;
/// The largest record that is read.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Takes the records of a file, one by one.
pub trait Collect {
    /// The fields of a record, as the landing table spells them; matched in any case.
    const FIELDS: &'static [&'static str];

    /// Takes one record, or says why it is none.
    fn collect(&mut self, fields: &Fields<'_>) -> Result<(), Rejection>;

    /// Takes one record that is written as those before it, if that is simple; else it is to be collected by its fields.
    /// What is taken here must be what [`collect`](Self::collect) would take.
    fn collect_laid(&mut self, _: &Laid<'_>) -> bool {
        false
    }
}

/// A file that cannot be decoded as a whole. None of its records count, even if some were read before the damage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// The compression is broken or cut short.
    #[error("{0} data is damaged or cut short")]
    Compression(&'static str),
    /// The text is UTF-16.
    #[error("text is UTF-16, expected UTF-8")]
    Utf16,
    /// More bytes than a function can hold.
    #[error("more than {FILE_BYTES_MAX} bytes after decompression; split the file")]
    TooLarge,
}

impl Undecodable {
    /// The reason as receipts and metrics name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Compression(_) => "damaged_compression",
            Self::Utf16 => "utf_16",
            Self::TooLarge => "file_too_large",
        }
    }
}

/// Reads one landing file into a [`Collect`].
pub struct LandingReader<C> {
    decoder: decode::Decoder,
    framer: framing::Framer,
    collector: C,
    quarantine: Quarantine,
    bytes: u64,
}

impl<C: Collect> LandingReader<C> {
    /// A reader that collects into `collector`.
    pub fn new(collector: C) -> Self {
        Self::with_layouts(collector, layouts::Layouts::new())
    }

    /// A reader that parses every record completely. It reads the same, only slower: what the quick way is held against.
    pub fn without_layouts(collector: C) -> Self {
        Self::with_layouts(collector, layouts::Layouts::none())
    }

    fn with_layouts(collector: C, layouts: layouts::Layouts) -> Self {
        Self {
            decoder: decode::Decoder::new(),
            framer: framing::Framer::new(layouts),
            collector,
            quarantine: Quarantine::default(),
            bytes: 0,
        }
    }

    /// Takes the next bytes of the file, in chunks of any size.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Undecodable> {
        let Self { decoder, framer, collector, quarantine, bytes } = self;
        decoder.push(chunk, &mut |text| frame(framer, collector, quarantine, bytes, text))
    }

    /// Ends the file: what was collected, and what was rejected.
    pub fn finish(mut self) -> Result<(C, Quarantine), Undecodable> {
        let Self { decoder, framer, collector, quarantine, bytes } = &mut self;
        decoder.finish(&mut |text| frame(framer, collector, quarantine, bytes, text))?;
        framer.finish(collector, quarantine);
        Ok((self.collector, self.quarantine))
    }
}

fn frame<C: Collect>(
    framer: &mut framing::Framer,
    collector: &mut C,
    quarantine: &mut Quarantine,
    bytes: &mut u64,
    text: &[u8],
) -> Result<(), Undecodable> {
    *bytes += text.len() as u64;
    if *bytes > FILE_BYTES_MAX {
        return Err(Undecodable::TooLarge);
    }
    framer.push(text, collector, quarantine);
    Ok(())
}

#[cfg(test)]
mod tests;
