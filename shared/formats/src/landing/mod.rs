//! Reads the bytes of a landing file into records and rejections.
//!
//! [`LandingReader`] takes the file chunk by chunk, in bounded memory:
//!
//! 1. `decode` decompresses the file.
//! 2. `framing` finds the records, in lines, arrays or concatenated.
//! 3. [`fields`] reads the fields of a record. `layouts` does the same without parsing, for records like earlier ones.
//! 4. A [`Collect`] takes the fields as a row, or rejects the record.
//!
//! Every byte of the file belongs to a record, or to a rejection with its line number, or is blank.

mod decode;
pub mod fields;
mod framing;
mod layouts;

use crate::quarantine::Quarantine;
use fields::{Fields, Rejection};
pub use layouts::LayoutFields;

/// The most bytes of a file after decompression. Its rows must fit into a function's memory.
pub const FILE_BYTES_MAX: u64 = 1 << 30;
/// The most bytes of a record.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Takes the records of a file one by one.
pub trait Collect {
    /// The fields of a record, spelled as in the landing table. Names match in any case.
    const FIELDS: &'static [&'static str];

    /// Takes one record, or returns why it is rejected.
    fn collect(&mut self, fields: &Fields<'_>) -> Result<(), Rejection>;

    /// Looks at a record that is rejected as a whole: a field occurs twice, or its text is not UTF-8. Characters that cannot
    /// be decoded are U+FFFD.
    fn inspect_rejected(&mut self, _: &Fields<'_>) {}

    /// Returns about how much memory the records take.
    fn memory_bytes(&self) -> usize;

    /// Takes one record of a known layout. Returns `false` to have it passed to [`collect`](Self::collect) instead.
    ///
    /// It must take exactly what [`collect`](Self::collect) would take.
    fn collect_by_layout(&mut self, _: &LayoutFields<'_>) -> bool {
        false
    }
}

/// Why a file as a whole cannot be decoded. None of its records count, even those before the damage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// The compression is broken or cut short.
    #[error("{0} data is damaged or cut short")]
    Compression(&'static str),
    /// The text is UTF-16.
    #[error("text is UTF-16, expected UTF-8")]
    Utf16,
    /// The file has more than [`FILE_BYTES_MAX`] bytes.
    #[error("more than {FILE_BYTES_MAX} bytes after decompression; split the file")]
    TooLarge,
    /// The file takes more memory than the function has for one.
    #[error("it takes more than {0} bytes of memory; split the file, or give the function more memory")]
    TooManyRecords(usize),
    /// The readings are in too many slices of an hour.
    #[error("readings in more than {0} slices of an hour; split the file")]
    TooManySlices(usize),
}

impl Undecodable {
    /// Returns the reason's name in receipts and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Compression(_) => "damaged_compression",
            Self::Utf16 => "utf_16",
            Self::TooLarge => "file_too_large",
            Self::TooManyRecords(_) => "too_many_records",
            Self::TooManySlices(_) => "too_many_slices",
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
    memory_bytes_max: usize,
}

impl<C: Collect> LandingReader<C> {
    /// Returns a reader that passes the records to `collector`.
    pub fn new(collector: C) -> Self {
        Self::with_layouts(collector, layouts::Layouts::new())
    }

    /// Returns a reader that parses every record completely. Its result is the same; tests compare the two.
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
            memory_bytes_max: usize::MAX,
        }
    }

    /// Rejects the file if it takes more memory.
    pub fn with_memory_bytes_max(self, memory_bytes_max: usize) -> Self {
        Self { memory_bytes_max, ..self }
    }

    /// Takes the next bytes of the file, in chunks of any size.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Undecodable> {
        let (decoder, mut frame) = self.parts();
        decoder.push(chunk, &mut frame)?;
        drop(frame);
        check_memory(self.decoder.memory_bytes(), self.memory_bytes_max)
    }

    /// Ends the file. Returns the collector and the rejections.
    pub fn finish(mut self) -> Result<(C, Quarantine), Undecodable> {
        {
            let (decoder, mut frame) = self.parts();
            decoder.finish(&mut frame)?;
        }
        self.framer.finish(&mut self.collector, &mut self.quarantine);
        check_memory(self.collector.memory_bytes() + self.quarantine.memory_bytes(), self.memory_bytes_max)?;
        Ok((self.collector, self.quarantine))
    }

    /// Returns the decoder, and what takes the decoded text.
    fn parts(&mut self) -> (&mut decode::Decoder, impl FnMut(&[u8]) -> Result<(), Undecodable>) {
        let Self { decoder, framer, collector, quarantine, bytes, memory_bytes_max } = self;
        let frame = move |text: &[u8]| {
            *bytes += text.len() as u64;
            if *bytes > FILE_BYTES_MAX {
                return Err(Undecodable::TooLarge);
            }
            framer.push(text, collector, quarantine);
            check_memory(collector.memory_bytes() + quarantine.memory_bytes(), *memory_bytes_max)
        };
        (decoder, frame)
    }
}

fn check_memory(bytes: usize, bytes_max: usize) -> Result<(), Undecodable> {
    if bytes > bytes_max { Err(Undecodable::TooManyRecords(bytes_max)) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
