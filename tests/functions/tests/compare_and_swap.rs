//! The compare-and-swap loop over one object.

#![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use bytes::Bytes;
use engine::Error;
use functions::World;
use model::lake_config::ConsentPolicy::Ever;
use store::compare_and_swap::{Change, Snapshot, compare_and_swap};

const KEY: &str = "object";

/// Appends `text` to the object, from an assumed snapshot or a read one; returns how often the loop asked what to do.
async fn append(world: &World, text: &str, first: Option<Snapshot>) -> usize {
    let mut asked = 0;
    let location = world.lake.at(KEY);
    let written = compare_and_swap::<_, Error>(&world.lake.store, &location, first, |snapshot| {
        asked += 1;
        let body = [snapshot.body.as_deref().unwrap_or_default(), text.as_bytes()].concat();
        Ok(Change::Put(Bytes::from(body), ()))
    });
    let (version, ()) = written.await.unwrap();
    assert_eq!(Snapshot::read(&world.lake.store, &location).await.unwrap().version, version);
    asked
}

#[tokio::test]
async fn a_wrong_assumption_is_read_and_decided_again() {
    let world = World::new(Ever).await;
    assert_eq!(append(&world, "a", Some(Snapshot::ABSENT)).await, 1);
    assert_eq!(append(&world, "b", Some(Snapshot::ABSENT)).await, 2);
    assert_eq!(append(&world, "c", None).await, 1);
    assert_eq!(world.body(KEY).await.unwrap(), "abc");
}

#[tokio::test]
async fn an_object_that_is_kept_is_not_written() {
    let world = World::new(Ever).await;
    world.put(KEY, "a").await;
    let location = world.lake.at(KEY);
    let before = Snapshot::read(&world.lake.store, &location).await.unwrap();
    let kept = compare_and_swap::<_, Error>(&world.lake.store, &location, None, |snapshot| Ok(Change::Keep(snapshot)));
    assert_eq!(kept.await.unwrap(), (before.version.clone(), before));
}
