//! The loop that materializes objects, with changes between its steps.

// A panic fails a test.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use engine::{ATTEMPTS_MAX, Error, Materialize, materialize};
use functions::World;
use model::lake_config::ConsentPolicy::Ever;
use std::sync::atomic::{AtomicU32, Ordering};
use store::{Change, Snapshot, Version};

const INPUT: &str = "in";
const OUTPUT: &str = "out";

/// What changes during an attempt, after it has read its input and before it puts its output.
#[derive(Clone, Copy)]
enum Interference {
    /// Nothing.
    Nothing,
    /// Another writer puts the output, during the first attempt.
    OutputOnce,
    /// The input changes, and another writer puts the output, during every attempt.
    Always,
}

/// Copies the input to the output, behind the input's version.
struct Copy<'a> {
    world: &'a World,
    interference: Interference,
    attempts: AtomicU32,
}

impl<'a> Copy<'a> {
    fn new(world: &'a World, interference: Interference) -> Self {
        Self { world, interference, attempts: AtomicU32::new(0) }
    }

    /// Returns the number of attempts, and whether the output was put.
    async fn materialize(&self) -> Result<(u32, bool), Error> {
        let is_put = materialize(&self.world.lake, self).await?;
        Ok((self.attempts.load(Ordering::Relaxed), is_put))
    }
}

impl Materialize for Copy<'_> {
    type Report = bool;

    fn output(&self) -> String {
        OUTPUT.into()
    }

    async fn compute(&self, stored: Option<Bytes>) -> Result<Change<bool>, Error> {
        let lake = &self.world.lake;
        let Snapshot { version, body } = Snapshot::read(&lake.store, &lake.at(INPUT)).await?;
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        match self.interference {
            Interference::OutputOnce if attempt == 0 => self.world.put(OUTPUT, "another's").await,
            Interference::Always => {
                self.world.put(INPUT, format!("newer {attempt}")).await;
                self.world.put(OUTPUT, format!("another's {attempt}")).await;
            }
            _ => {}
        }
        let Version::Etag(etag) = version else { return Ok(Change::Keep(false)) };
        let output = [etag.as_bytes(), b" ", &body.unwrap_or_default()].concat();
        Ok(if stored.is_some_and(|stored| stored == output) {
            Change::Keep(false)
        } else {
            Change::Put(output.into(), true)
        })
    }
}

async fn world() -> World {
    let world = World::new(Ever).await;
    world.put(INPUT, "input").await;
    world
}

async fn output(world: &World) -> String {
    String::from_utf8(world.body(OUTPUT).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn an_output_that_is_up_to_date_is_not_written() {
    let world = world().await;
    assert_eq!(Copy::new(&world, Interference::Nothing).materialize().await.unwrap(), (1, true));
    assert_eq!(Copy::new(&world, Interference::Nothing).materialize().await.unwrap(), (1, false));
    assert!(output(&world).await.ends_with(" input"));
}

#[tokio::test]
async fn conflicting_output_is_computed_again() {
    let world = world().await;
    assert_eq!(Copy::new(&world, Interference::OutputOnce).materialize().await.unwrap(), (2, true));
    assert!(output(&world).await.ends_with(" input"));
}

#[tokio::test]
async fn outputs_that_always_change_end_in_a_contention_error() {
    let world = world().await;
    let copy = Copy::new(&world, Interference::Always);
    let error = copy.materialize().await.unwrap_err();
    assert!(matches!(&error, Error::Contended { location } if location.key == OUTPUT), "{error}");
    assert_eq!(copy.attempts.load(Ordering::Relaxed), ATTEMPTS_MAX);
}
