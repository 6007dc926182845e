//! The text that a signature is of.

use super::claim::Claim;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// What is encoded in a query; the path's slashes are left.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// What a client may have signed, the likeliest first: AWS encodes path and query anew, and so do its SDKs; others sign
/// them as they send them, with some characters that need no escape in an address left as they are.
pub(super) fn requests(parts: &Parts, claim: &Claim, payload: &str) -> impl Iterator<Item = String> {
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

/// The parameters in order, without the signature.
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

/// A line for each signed header, with the spaces in its value run together.
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
