//! The cache reads and decodes only the start of some objects.

// A panic fails a test.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use engine::{Cache, Start};
use functions::World;
use model::lake_config::ConsentPolicy::Ever;

/// The first byte of an object is the number of its bytes that are needed.
const START: Start = Start { bytes: 8, needed: |start| usize::from(start[0]) };

#[tokio::test]
async fn only_needed_bytes_are_read() {
    let world = World::new(Ever).await;
    for (needed, length, read) in
        [(4, 20, 8), (8, 20, 8), (9, 20, 9), (20, 20, 20), (30, 20, 20), (30, 5, 5), (3, 1, 1)]
    {
        let key = format!("{needed}-of-{length}");
        world.put(&key, vec![needed; length]).await;
        let (cache, location) = (Cache::of_starts(1 << 20, START), world.lake.at(key));
        let before = world.requests().get;
        let (etag, found) = cache.read(&world.lake.store, &location, Ok).await.unwrap().unwrap();
        assert_eq!(*found, Bytes::from(vec![needed; read]), "{location}");
        assert_eq!(world.requests().get - before, if read > START.bytes { 2 } else { 1 }, "{location}");
        assert_eq!(
            cache.read(&world.lake.store, &location, |_| panic!("it is in the cache")).await.unwrap().unwrap().0,
            etag
        );
    }
}

#[tokio::test]
async fn missing_object_has_no_start() {
    let world = World::new(Ever).await;
    let cache = Cache::<Bytes>::of_starts(1 << 20, START);
    assert!(cache.read(&world.lake.store, &world.lake.at("none"), Ok).await.unwrap().is_none());
}
