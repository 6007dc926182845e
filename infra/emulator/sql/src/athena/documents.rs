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

/// A page of the items whose names come after `token`, in the order of the names, and the token of the next page.
pub(super) fn page<T>(
    mut items: Vec<T>,
    name: impl Fn(&T) -> &str,
    token: Option<&str>,
    length_max: usize,
) -> (Vec<T>, Option<String>) {
    items.retain(|item| token.is_none_or(|token| name(item) > token));
    items.sort_unstable_by(|a, b| name(a).cmp(name(b)));
    let next = items.get(length_max.saturating_sub(1)).filter(|_| items.len() > length_max);
    let next = next.map(|last| name(last).to_owned());
    items.truncate(length_max);
    (items, next)
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn pages_cover_all_names() {
        let page = |token, length| page(vec!["b", "a", "d", "c"], |name| name, token, length);
        assert_eq!(page(None, 3), (vec!["a", "b", "c"], Some("c".to_owned())));
        assert_eq!(page(Some("c"), 3), (vec!["d"], None));
        assert_eq!(page(None, 4).1, None);
    }
}
