//! JSON documents in S3, one per object: executions, work groups and saved queries.

use super::fault::Fault;
use bytes::Bytes;
use emulator_client::ObjectLocation;
use emulator_client::{Object, Put, Store, Version, VersionedObject};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The documents below one prefix.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    store: Store,
    bucket: String,
    prefix: String,
    documents_max: usize,
}

const END: &str = ".json";

impl Documents {
    /// The documents below `prefix`, which ends with a slash.
    pub(super) fn new(store: Store, bucket: &str, prefix: String, documents_max: usize) -> Self {
        Self { store, bucket: bucket.to_owned(), prefix, documents_max }
    }

    /// Reads a document and its version; none if it is absent or damaged.
    pub(super) async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<(T, Version)>, Fault> {
        let location = self.location(name);
        match self.store.read(&location).await? {
            Some(VersionedObject { etag, body }) => {
                // A damaged document must not stop operations on the others, such as the removal of expired results.
                match serde_json::from_slice(&body) {
                    Ok(document) => Ok(Some((document, Version::Etag(etag)))),
                    Err(error) => {
                        tracing::error!(%error, %location, "cannot parse a document");
                        Ok(None)
                    }
                }
            }
            None => Ok(None),
        }
    }

    /// Writes a document if it has the version `expected`; returns whether it had.
    pub(super) async fn put<T: Serialize>(&self, name: &str, document: &T, expected: &Version) -> Result<bool, Fault> {
        let body = serde_json::to_vec(document).map_err(|error| Fault::internal(error.to_string()))?;
        let put = self.store.put(&self.location(name), Bytes::from(body), expected).await?;
        Ok(matches!(put, Put::Done(_)))
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), Fault> {
        Ok(self.store.remove(&self.location(name)).await?)
    }

    /// The names of all documents in bytewise order.
    pub(super) async fn names(&self) -> Result<Vec<String>, Fault> {
        let objects: Vec<Object> = self.store.objects(&self.bucket, &self.prefix, self.documents_max).await?;
        let name = |object: Object| Some(object.key.strip_prefix(&self.prefix)?.strip_suffix(END)?.to_owned());
        Ok(objects.into_iter().filter_map(name).collect())
    }

    fn location(&self, name: &str) -> ObjectLocation {
        ObjectLocation { bucket: self.bucket.clone(), key: format!("{}{name}{END}", self.prefix) }
    }
}

/// A page of the names after `token`, and the token of the next page.
pub(super) fn page(names: Vec<String>, token: Option<&str>, length_max: usize) -> (Vec<String>, Option<String>) {
    let mut after = names.into_iter().filter(|name| token.is_none_or(|token| name.as_str() > token));
    let found: Vec<_> = after.by_ref().take(length_max).collect();
    let next = after.next().and(found.last().cloned());
    (found, next)
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn pages_cover_all_names() {
        let names = || ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let (first, token) = page(names(), None, 3);
        assert_eq!((first.join(""), token.as_deref()), ("abc".to_owned(), Some("c")));
        assert_eq!(page(names(), token.as_deref(), 3), (vec!["d".to_owned()], None));
        assert_eq!(page(names(), None, 4).1, None);
    }
}
