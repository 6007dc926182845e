//! A lake of 60 slices an hour: each minute has a cell of its own in each table.

// A panic fails a test.
#![allow(clippy::unwrap_used)]

use functions::{T, World, customer, motion, step};
use model::lake_config::LakeConfig;
use model::layout::{self, Source};
use model::slice::SlicesPerHour;
use model::table::Table;
use model::time::Partition;
use simulation::tables::rows_of;

const MINUTE_MS: i64 = 60_000;
const MOTIONS: &str = "accelerometer/landing/a.json";
const STEPS: &str = "step_trainer/landing/s.json";
/// The tables that have cells.
const TABLES: [Table; 3] = [Table::AccelerometerTrusted, Table::StepTrainerTrusted, Table::MachineLearningCurated];

fn minutes() -> SlicesPerHour {
    SlicesPerHour::try_from(60).unwrap()
}

/// The key of the cell of the minute that begins so many minutes after [`T`].
fn cell(table: Table, minute: i64) -> String {
    layout::cell(table, minutes().slice_of(T + minute * MINUTE_MS))
}

/// One reading of Ann in each of these minutes.
fn readings(reading: fn(&str, i64) -> String, of_minutes: [i64; 2]) -> String {
    of_minutes.map(|minute| reading("ann", minute * MINUTE_MS)).join("\n")
}

/// Returns a lake with Ann's readings of minutes 0 and 1, in one file of each kind.
async fn world_of_two_minutes() -> World {
    let world = World::with_config(LakeConfig { slices_per_hour: minutes(), ..LakeConfig::default() }).await;
    world.ingest("customer/landing/c.json", customer("ann", 0, Some(0))).await;
    world.ingest(MOTIONS, readings(motion, [0, 1])).await;
    world.ingest(STEPS, readings(step, [0, 1])).await;
    world
}

/// Asserts how many rows each table has in its cells of minutes 0, 1 and 2. `None` stands for no object.
async fn assert_cells(world: &World, what: &str, expected: [Option<usize>; 3]) {
    for table in TABLES {
        let mut found = [None; 3];
        for (rows, minute) in found.iter_mut().zip(0..) {
            let key = cell(table, minute);
            *rows = world.body(&key).await.map(|body| rows_of(table, &key, body).unwrap().len());
        }
        assert_eq!(found, expected, "{what}: {table}");
        // The tables have no further object.
        let objects = world.objects().await.into_keys().filter(|key| key.starts_with(table.prefix())).count();
        assert_eq!(objects, expected.iter().flatten().count(), "{what}: {table}");
    }
    world.assert_row_counts(what).await;
}

async fn assert_one_partition(world: &World) {
    for table in TABLES {
        let partitions = world.lake.catalog.partitions(table).await.unwrap();
        assert!(partitions.into_iter().eq([Partition::of(T)]), "{table}");
    }
}

#[tokio::test]
async fn two_minutes_of_an_hour_have_two_cells_in_one_partition() {
    let world = world_of_two_minutes().await;
    assert_cells(&world, "ingested", [Some(1), Some(1), None]).await;
    assert_one_partition(&world).await;
    for (source, key, table) in [
        (Source::Accelerometer, MOTIONS, Table::AccelerometerTrusted),
        (Source::StepTrainer, STEPS, Table::StepTrainerTrusted),
    ] {
        let outputs = world.receipt(source, key).await.outputs.into_iter().map(|output| (output.key, output.rows));
        assert!(outputs.eq([(cell(table, 0), 1), (cell(table, 1), 1)]), "{key}");
    }
}

#[tokio::test]
async fn training_rows_are_those_of_each_minute() {
    let world = world_of_two_minutes().await;
    let rows = [0, MINUTE_MS].map(|later| format!("dt=2022-06-18/hour=15 {} 218 1.5 -1 0 true", T + later));
    assert_eq!(world.rows(Table::MachineLearningCurated).await, rows);
}

#[tokio::test]
async fn further_minute_writes_its_own_cells() {
    let world = world_of_two_minutes().await;
    let glue = world.requests().glue;
    let written = world.written_by(async || {
        world.ingest("accelerometer/landing/next.json", motion("ann", 2 * MINUTE_MS)).await;
        world.ingest("step_trainer/landing/next.json", step("ann", 2 * MINUTE_MS)).await;
    });
    let written = written.await.into_iter().filter(|key| TABLES.iter().any(|table| key.starts_with(table.prefix())));
    let mut cells = TABLES.map(|table| cell(table, 2));
    cells.sort();
    assert!(written.eq(cells));
    assert_eq!(world.requests().glue, glue, "the partition is registered once");
    assert_cells(&world, "a further minute", [Some(1); 3]).await;
    assert_one_partition(&world).await;
}

#[tokio::test]
async fn withdrawal_empties_the_cells_of_all_minutes() {
    let world = world_of_two_minutes().await;
    world.ingest("customer/landing/later.json", customer("ann", 1, None)).await;
    assert_cells(&world, "withdrawn", [Some(0), Some(0), None]).await;
    world.ingest("customer/landing/again.json", customer("ann", 2, Some(0))).await;
    assert_cells(&world, "consented again", [Some(1), Some(1), None]).await;
    assert_one_partition(&world).await;
}

#[tokio::test]
async fn correction_moves_a_reading_to_the_cell_of_another_minute() {
    let world = world_of_two_minutes().await;
    world.ingest(MOTIONS, readings(motion, [0, 2])).await;
    world.ingest(STEPS, readings(step, [0, 2])).await;
    assert_cells(&world, "corrected", [Some(1), Some(0), Some(1)]).await;
    // The manifest knows minute 1, too. So it is found when the file is put back.
    world.ingest(MOTIONS, readings(motion, [0, 1])).await;
    world.ingest(STEPS, readings(step, [0, 1])).await;
    assert_cells(&world, "put back", [Some(1), Some(1), Some(0)]).await;
    assert_one_partition(&world).await;
}
