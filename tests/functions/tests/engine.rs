//! The engine's commit loop, with changes between its steps.

use engine::{ATTEMPTS_MAX, Error, Inputs, Materialize, Materialized, Stored, commit};
use functions::World;
use model::lake_config::ConsentPolicy::Ever;
use std::sync::atomic::{AtomicU32, Ordering};

const INPUT: &str = "in";
const OUTPUT: &str = "out";

/// What changes during an attempt, after it has read its inputs and before it puts its output.
#[derive(Clone, Copy)]
enum Interference {
    /// Nothing.
    Nothing,
    /// Another writer puts the output, during the first attempt.
    OutputOnce,
    /// The input changes, during the first attempt.
    InputOnce,
    /// The input changes, during every attempt.
    InputAlways,
}

/// Copies the input to the output.
struct Copy<'a> {
    world: &'a World,
    interference: Interference,
    attempts: AtomicU32,
}

impl<'a> Copy<'a> {
    fn new(world: &'a World, interference: Interference) -> Self {
        Self { world, interference, attempts: AtomicU32::new(0) }
    }

    async fn commit(&self) -> Result<(u32, u32), Error> {
        let committed = commit(&self.world.lake, self).await?;
        Ok((self.attempts.load(Ordering::Relaxed), committed.writes))
    }
}

impl Materialize for Copy<'_> {
    type Report = ();

    fn outputs(&self) -> Vec<String> {
        vec![OUTPUT.into()]
    }

    async fn materialize(&self, stored: &[Stored], inputs: &Inputs<'_>) -> Result<Materialized<()>, Error> {
        let input = inputs.read(&self.world.lake.at(INPUT)).await?;
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        match self.interference {
            Interference::OutputOnce if attempt == 0 => self.world.put(OUTPUT, "another's").await,
            Interference::InputOnce if attempt == 0 => self.world.put(INPUT, "newer").await,
            Interference::InputAlways => self.world.put(INPUT, format!("newer {attempt}")).await,
            _ => {}
        }
        let body = input.filter(|input| stored[0].body.as_ref() != Some(input));
        Ok(Materialized { bodies: vec![body], report: () })
    }
}

async fn world() -> World {
    let world = World::new(Ever).await;
    world.put(INPUT, "input").await;
    world
}

#[tokio::test]
async fn unchanged_output_is_not_written() {
    let world = world().await;
    assert_eq!(Copy::new(&world, Interference::Nothing).commit().await.unwrap(), (1, 1));
    assert_eq!(Copy::new(&world, Interference::Nothing).commit().await.unwrap(), (1, 0));
    assert_eq!(world.body(OUTPUT).await.unwrap(), "input");
}

#[tokio::test]
async fn conflicting_output_is_materialized_again() {
    let world = world().await;
    assert_eq!(Copy::new(&world, Interference::OutputOnce).commit().await.unwrap(), (2, 1));
    assert_eq!(world.body(OUTPUT).await.unwrap(), "input");
}

#[tokio::test]
async fn changed_input_is_read_again() {
    let world = world().await;
    assert_eq!(Copy::new(&world, Interference::InputOnce).commit().await.unwrap(), (2, 2));
    assert_eq!(world.body(OUTPUT).await.unwrap(), "newer");
}

#[tokio::test]
async fn inputs_that_always_change_end_in_a_contention_error() {
    let world = world().await;
    let copy = Copy::new(&world, Interference::InputAlways);
    let error = copy.commit().await.unwrap_err();
    assert!(matches!(&error, Error::Contended { location } if location.key == OUTPUT), "{error}");
    assert_eq!(copy.attempts.load(Ordering::Relaxed), ATTEMPTS_MAX);
}
