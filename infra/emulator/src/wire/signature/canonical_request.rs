//! Canonical requests: the texts that a signature covers.

use super::claim::Claim;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// The characters that are encoded in a query. In a path slashes are not encoded.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// Returns the texts that a client may have signed, the likeliest first. AWS and its SDKs encode path and query again.
/// Other clients sign them as sent, with some characters unescaped.
pub(super) fn candidates(parts: &Parts, claim: &Claim, payload: &str) -> impl Iterator<Item = String> {
    let (raw_path, raw_query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let path = percent_encode(&percent_decode_str(raw_path).collect::<Vec<_>>(), PATH).to_string();
    let encode = |text: &str| percent_encode(&percent_decode_str(text).collect::<Vec<_>>(), QUERY).to_string();
    let query = query(raw_query, encode);
    let raw_query = self::query(raw_query, str::to_owned);
    let head = parts.method.as_str().to_owned();
    let tail = format!("{}\n{}\n{payload}", headers(parts, &claim.signed_headers), claim.signed_headers.join(";"));
    let raw_path = raw_path.to_owned();
    let all = [(path, query.clone()), (raw_path.clone(), query), (raw_path, raw_query)];
    all.into_iter().map(move |(path, query)| format!("{head}\n{path}\n{query}\n{tail}"))
}

/// Returns the sorted parameters without the signature.
fn query(raw: &str, encode: impl Fn(&str) -> String) -> String {
    let parts = raw.split('&').filter(|part| !part.is_empty());
    let mut parameters: Vec<_> = parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .filter(|(name, _)| *name != "X-Amz-Signature")
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    parameters.sort();
    let parameters: Vec<_> = parameters.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    parameters.join("&")
}

/// Returns a line for each signed header; runs of spaces in its value become one.
fn headers(parts: &Parts, names: &[String]) -> String {
    let line = |name: &String| {
        let values = parts.headers.get_all(name.as_str()).iter().map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        });
        format!("{name}:{}\n", values.collect::<Vec<_>>().join(","))
    };
    names.iter().map(line).collect()
}
