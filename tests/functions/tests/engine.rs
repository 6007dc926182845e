//! The engine's steps, with somebody who interferes between two of them.

use engine::{ATTEMPTS_MAX, Error, Inputs, Materialize, Materialized, Stored, commit};
use functions::World;
use model::lake_config::ConsentPolicy::Ever;
use std::sync::atomic::{AtomicU32, Ordering};

const INPUT: &str = "in";
const OUTPUT: &str = "out";

/// What happens behind the back of an attempt, after it has read its inputs and before it puts its output.
#[derive(Clone, Copy)]
enum Behind {
    /// Nothing.
    Nothing,
    /// Another writes the output.
    OutputOnce,
    /// The input changes, during the first attempt.
    InputOnce,
    /// The input changes, during every attempt.
    InputAlways,
}

/// Copies the input to the output.
struct Copy<'a> {
    world: &'a World,
    behind: Behind,
    attempts: AtomicU32,
}

impl<'a> Copy<'a> {
    fn new(world: &'a World, behind: Behind) -> Self {
        Self { world, behind, attempts: AtomicU32::new(0) }
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
        match self.behind {
            Behind::OutputOnce if attempt == 0 => self.world.put(OUTPUT, "another's").await,
            Behind::InputOnce if attempt == 0 => self.world.put(INPUT, "newer").await,
            Behind::InputAlways => self.world.put(INPUT, format!("newer {attempt}")).await,
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
async fn what_is_the_same_is_not_written() {
    let world = world().await;
    assert_eq!(Copy::new(&world, Behind::Nothing).commit().await.unwrap(), (1, 1));
    assert_eq!(Copy::new(&world, Behind::Nothing).commit().await.unwrap(), (1, 0));
    assert_eq!(world.body(OUTPUT).await.unwrap(), "input");
}

#[tokio::test]
async fn an_output_that_another_wrote_is_derived_anew() {
    let world = world().await;
    assert_eq!(Copy::new(&world, Behind::OutputOnce).commit().await.unwrap(), (2, 1));
    assert_eq!(world.body(OUTPUT).await.unwrap(), "input");
}

#[tokio::test]
async fn an_input_that_changed_meanwhile_is_read_again() {
    let world = world().await;
    assert_eq!(Copy::new(&world, Behind::InputOnce).commit().await.unwrap(), (2, 2));
    assert_eq!(world.body(OUTPUT).await.unwrap(), "newer");
}

#[tokio::test]
async fn inputs_that_never_rest_end_in_an_error_that_asks_for_redelivery() {
    let world = world().await;
    let copy = Copy::new(&world, Behind::InputAlways);
    let error = copy.commit().await.unwrap_err();
    assert!(matches!(&error, Error::Contended { location } if location.key == OUTPUT), "{error}");
    assert_eq!(copy.attempts.load(Ordering::Relaxed), ATTEMPTS_MAX);
}
