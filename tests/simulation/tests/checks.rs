//! The checkers can fail: each invariant is broken by hand, in a lake that is otherwise as it should be.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use formats::columnar::{self, Decoder, Metadata};
use functions::World;
use model::hash::KeyHash;
use model::lake_config::ConsentPolicy;
use model::layout::Source;
use model::table::Table;
use parquet::arrow::ArrowWriter;
use sha2::{Digest, Sha256};
use simulation::checks::watch::{Watch, front};
use simulation::checks::{Invariant, Violation, settled};
use simulation::scenario::{Content, Files, Landing, Line, Motion, Record, Research, Step};
use simulation::tables::rows_of;
use std::collections::BTreeSet;

const POLICY: ConsentPolicy = ConsentPolicy::Ever;
const CUSTOMERS: &str = "customer/landing/customers.json";
const MOTIONS: &str = "accelerometer/landing/motions.json";
const STEPS: &str = "step_trainer/landing/steps.json";

fn record(name: &str, device: u8, research: Research) -> Line {
    let name = name.to_owned();
    Line::Customer(Record { name, phone: 1, device: Some(device), registered: Some(0), updated: None, research })
}

/// Two who consent, one who does not, and a reading of each kind of them all.
fn landings() -> Vec<Landing> {
    let landing = |key: &str, lines| Landing { at_ms: 0, key: key.to_owned(), content: Content::Lines(lines) };
    let consent = Research::Since(0);
    let people = [("ann", consent), ("bob", consent), ("eve", Research::Absent)];
    let customers = people.iter().zip(0..).map(|((name, research), device)| record(name, device, *research));
    let motion = |(name, number): (&str, i32)| Line::Motion(Motion { name: name.to_owned(), time: 3_600_000, number });
    let step = |(device, number)| Line::Step(Step { device, time: 3_600_000, number });
    let mut motions: Vec<Line> = [("ann", 1), ("bob", 2), ("eve", 3)].map(motion).into();
    motions.push(Line::Broken("not json".to_owned()));
    vec![
        landing(CUSTOMERS, customers.collect()),
        landing(MOTIONS, motions),
        landing(STEPS, [(0, 4), (1, 5), (2, 6)].map(step).into()),
    ]
}

/// A lake in which they have landed.
struct Settled {
    world: World,
    landings: Vec<Landing>,
    watch: Watch,
}

impl Settled {
    async fn new() -> Self {
        let (world, landings) = (World::new(POLICY).await, landings());
        let mut watch = Watch::default();
        for landing in &landings {
            watch.landed(landing);
            world.land(&landing.key, landing.content.bytes()).await;
        }
        for key in world.objects().await.into_keys() {
            assert_eq!(watch.stored(&key, &world.body(&key).await.unwrap()), [], "{key}");
        }
        let settled = Self { world, landings, watch };
        assert_eq!(settled.check().await, [], "nothing is wrong yet");
        settled
    }

    async fn check(&self) -> Vec<Violation> {
        let files: Files<'_> = self.landings.iter().map(|landing| (landing.key.as_str(), &landing.content)).collect();
        let look = settled::look(&self.world.lake).await.unwrap();
        settled::check(&look, POLICY, &files, &self.watch).unwrap()
    }

    /// The only object whose key begins so, or the first.
    async fn key(&self, prefix: &str) -> String {
        let keys = self.world.objects().await.into_keys();
        keys.into_iter().find(|key| key.starts_with(prefix)).expect(prefix)
    }

    /// An object that holds a row of ann, or one that says of nobody whose its rows are.
    async fn object(&self, table: Table) -> (String, Bytes) {
        for key in self.world.objects().await.into_keys().filter(|key| key.starts_with(table.prefix())) {
            let body = self.world.body(&key).await.unwrap();
            let rows = rows_of(table, &key, body.clone()).unwrap();
            if rows.iter().any(|row| row.contains("ann@") || table == Table::MachineLearningCurated) {
                return (key, body);
            }
        }
        panic!("no row of ann in {table}");
    }

    /// Replaces the object whose key begins so with what `edit` makes of it.
    async fn edit(&self, prefix: &str, edit: impl FnOnce(Bytes) -> Vec<u8>) {
        let key = self.key(prefix).await;
        self.world.put(&key, edit(self.world.body(&key).await.unwrap())).await;
    }
}

fn invariants(violations: &[Violation]) -> BTreeSet<Invariant> {
    violations.iter().map(|violation| violation.invariant).collect()
}

#[track_caller]
fn assert_broken(violations: &[Violation], invariant: Invariant, words: &str) {
    let told = violations.iter().any(|violation| violation.invariant == invariant && violation.what.contains(words));
    assert!(told, "{invariant} is not broken with {words:?}: {violations:#?}");
}

/// The same object with fewer rows.
fn without_first_row(table: Table, body: Bytes) -> Vec<u8> {
    let batches = Decoder::new(body, table.name()).unwrap().batches(table).unwrap();
    let shorter = batches.map(|batch| batch.map(|batch| batch.slice(1, batch.num_rows() - 1)));
    let batches: Vec<_> = shorter.map(|batch| Ok(batch.unwrap())).collect();
    columnar::encode(table, "", batches, &Metadata::new()).unwrap().into()
}

/// The same rows with other metadata in the footer.
fn with_metadata(table: Table, body: &Bytes, metadata: &[(&str, &str)]) -> Bytes {
    let batches = Decoder::new(body.clone(), table.name()).unwrap().batches(table).unwrap();
    let metadata = metadata.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    columnar::encode(table, "", batches.map(|batch| Ok(batch.unwrap())), &metadata).unwrap()
}

#[tokio::test]
async fn convergence_fails_where_a_row_is_missing() {
    for table in Table::DERIVED {
        let settled = Settled::new().await;
        let (key, body) = settled.object(table).await;
        settled.world.put(&key, without_first_row(table, body)).await;
        let violations = settled.check().await;
        assert_broken(&violations, Invariant::Convergence, "missing: ");
        assert_broken(&violations, Invariant::Convergence, table.name());
    }
}

#[tokio::test]
async fn convergence_fails_where_a_row_is_too_many() {
    let settled = Settled::new().await;
    let (_, body) = settled.object(Table::AccelerometerTrusted).await;
    settled.world.put("accelerometer/trusted/dt=2022-06-18/hour=01/again.parquet", body).await;
    let violations = settled.check().await;
    assert_broken(&violations, Invariant::Convergence, "too many: dt=2022-06-18/hour=01 ann@example.com");
    assert_eq!(invariants(&violations), [Invariant::Convergence].into());
}

#[tokio::test]
async fn convergence_fails_where_an_object_cannot_be_read() {
    let mut settled = Settled::new().await;
    let (key, body) = settled.object(Table::CustomerTrusted).await;
    assert_broken(&settled.watch.stored(&key, &body.slice(8..)), Invariant::Convergence, "cannot be read");
}

#[tokio::test]
async fn safety_fails_where_somebody_never_consented() {
    let settled = Settled::new().await;
    let mut watch = Watch::default();
    for mut landing in landings() {
        if let Content::Lines(lines) = &mut landing.content {
            // As if ann had never consented, and the lake held her rows all the same.
            for line in lines.iter_mut() {
                if matches!(line, Line::Customer(record) if record.name == "ann") {
                    *line = record("ann", 0, Research::Absent);
                }
            }
        }
        watch.landed(&landing);
    }
    for table in Table::DERIVED {
        let (key, body) = settled.object(table).await;
        let violations = watch.stored(&key, &body);
        assert_broken(&violations, Invariant::Safety, "ann@example.com");
        assert_eq!(invariants(&violations), [Invariant::Safety].into(), "{table}");
    }
}

#[tokio::test]
async fn safety_fails_where_a_reading_never_landed() {
    let settled = Settled::new().await;
    let (key, body) = settled.object(Table::MachineLearningCurated).await;
    let violations = Watch::default().stored(&key, &body);
    assert_broken(&violations, Invariant::Safety, "never landed");
}

#[tokio::test]
async fn withdrawal_fails_where_a_value_is_left_anywhere() {
    for value in ["eve@example.com", "Dr. eve Nobody", "555-eve", "1399-eve"] {
        for key in ["_state/manifests/eve.json", "lookup/readings/left.json", "receipts/customer/left.json"] {
            let settled = Settled::new().await;
            settled.world.put(key, format!("{{\"left\":\"{value}\"}}")).await;
            let violations = settled.check().await;
            assert_broken(&violations, Invariant::Withdrawal, key);
            assert_eq!(invariants(&violations), [Invariant::Withdrawal].into(), "{violations:#?}");
        }
    }
}

#[tokio::test]
async fn withdrawal_fails_where_a_row_is_left() {
    let mut settled = Settled::new().await;
    // Ann withdraws, and nobody hears of it.
    let lines = vec![
        record("ann", 0, Research::Null),
        record("bob", 1, Research::Since(0)),
        record("eve", 2, Research::Absent),
    ];
    let landing = Landing { at_ms: 0, key: CUSTOMERS.to_owned(), content: Content::Lines(lines) };
    settled.watch.landed(&landing);
    settled.landings[0] = landing;
    let violations = settled.check().await;
    for table in
        [Table::CustomerTrusted, Table::AccelerometerTrusted, Table::CustomerCurated, Table::StepTrainerTrusted]
    {
        assert!(
            violations
                .iter()
                .any(|violation| violation.invariant == Invariant::Withdrawal
                    && violation.what.starts_with(table.prefix())),
            "{table}: {violations:#?}"
        );
    }
}

#[tokio::test]
async fn values_in_landing_and_quarantine_are_no_rows() {
    let settled = Settled::new().await;
    settled.world.put("quarantine/customer/another.jsonl", "eve@example.com\n").await;
    assert_eq!(settled.check().await, []);
}

#[tokio::test]
async fn accounting_fails_where_a_receipt_is_wrong() {
    for field in ["rows", "kept", "quarantined"] {
        let settled = Settled::new().await;
        settled.edit("receipts/accelerometer/", |body| raised(&body, &[field])).await;
        assert_broken(&settled.check().await, Invariant::Accounting, "the sum is wrong");
    }
    // The sum is right, but not what is summed up.
    let settled = Settled::new().await;
    settled.edit("receipts/accelerometer/", |body| raised(&body, &["rows", "quarantined"])).await;
    let violations = settled.check().await;
    assert_broken(&violations, Invariant::Accounting, "rows are wrong");
    assert_broken(&violations, Invariant::Accounting, "quarantined is wrong");
    assert_eq!(invariants(&violations), [Invariant::Accounting].into());
    let settled = Settled::new().await;
    settled.edit("receipts/step_trainer/", |body| raised(&body, &["rows", "kept"])).await;
    assert_broken(&settled.check().await, Invariant::Accounting, "kept is not the sum of the outputs");
    let settled = Settled::new().await;
    settled.edit("receipts/customer/", |body| raised(&body, &["rows", "kept"])).await;
    assert_broken(&settled.check().await, Invariant::Accounting, "keep 3 rows together");
}

/// A receipt with one more in each of these.
fn raised(body: &[u8], fields: &[&str]) -> Vec<u8> {
    let mut receipt: serde_json::Value = serde_json::from_slice(body).unwrap();
    for field in fields {
        receipt[*field] = (receipt[*field].as_u64().unwrap() + 1).into();
    }
    receipt.to_string().into()
}

#[tokio::test]
async fn accounting_fails_where_an_object_is_not_as_the_receipt_says() {
    let settled = Settled::new().await;
    settled.edit("step_trainer/trusted/", |body| without_first_row(Table::StepTrainerTrusted, body)).await;
    assert_broken(&settled.check().await, Invariant::Accounting, "has 1 rows");
    let settled = Settled::new().await;
    settled.edit("quarantine/accelerometer/", |_| Vec::new()).await;
    assert_broken(&settled.check().await, Invariant::Accounting, "its quarantine has 0 lines");
    let settled = Settled::new().await;
    settled.world.expire(&settled.key("receipts/step_trainer/").await);
    assert_broken(&settled.check().await, Invariant::Accounting, &format!("{STEPS} has no receipt"));
}

#[tokio::test]
async fn catalogue_fails_where_a_partition_is_not_registered() {
    for table in [Table::AccelerometerTrusted, Table::StepTrainerTrusted, Table::MachineLearningCurated] {
        let mut settled = Settled::new().await;
        let (key, body) = settled.object(table).await;
        // It had rows in another hour once, and nobody registered that.
        let elsewhere = key.replace("hour=01", "hour=02");
        assert_ne!(key, elsewhere);
        assert_eq!(settled.watch.stored(&elsewhere, &body), []);
        let violations = settled.check().await;
        assert_broken(&violations, Invariant::Catalogue, table.name());
        assert_eq!(invariants(&violations), [Invariant::Catalogue].into());
    }
}

#[tokio::test]
async fn catalogue_fails_where_a_partition_never_had_rows() {
    let mut settled = Settled::new().await;
    settled.watch = Watch::default();
    let violations = settled.check().await;
    assert_broken(&violations, Invariant::Catalogue, "dt=2022-06-18/hour=01");
    assert_eq!(invariants(&violations), [Invariant::Catalogue].into());
}

#[tokio::test]
async fn determinism_fails_where_the_same_rows_have_other_bytes() {
    for table in Table::DERIVED {
        let mut settled = Settled::new().await;
        let (key, body) = settled.object(table).await;
        let violations = settled.watch.stored(&key, &in_other_bytes(table, &body));
        assert_eq!(invariants(&violations), [Invariant::Determinism].into(), "{table}: {violations:#?}");
    }
}

/// The same rows and the same metadata, but not compressed.
fn in_other_bytes(table: Table, body: &Bytes) -> Bytes {
    use parquet::arrow::arrow_writer::ArrowWriterOptions;
    use parquet::file::properties::WriterProperties;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let reader = SerializedFileReader::new(body.clone()).unwrap();
    let pairs = reader.metadata().file_metadata().key_value_metadata().cloned();
    let properties = WriterProperties::builder().set_key_value_metadata(pairs).build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), columnar::schema(table), options).unwrap();
    writer.write_all(front(body, reader.metadata())).unwrap();
    for batch in Decoder::new(body.clone(), table.name()).unwrap().batches(table).unwrap() {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.into_inner().unwrap().into()
}

#[tokio::test]
async fn anonymity_fails_where_the_footer_tells_of_somebody() {
    let email = "bob@example.com";
    let sha256: String = Sha256::digest(email).iter().map(|byte| format!("{byte:02x}")).collect();
    let told = [email, "555-bob-1", "serial-number-1", "1399-bob", &KeyHash::of(email).to_string(), &sha256];
    for value in told {
        let mut settled = Settled::new().await;
        let (key, body) = settled.object(Table::MachineLearningCurated).await;
        let violations =
            settled.watch.stored(&key, &with_metadata(Table::MachineLearningCurated, &body, &[("from", value)]));
        assert_broken(&violations, Invariant::Anonymity, "holds");
        assert_broken(&violations, Invariant::Anonymity, "a footer that says more");
    }
}

#[tokio::test]
async fn anonymity_fails_where_the_key_tells_of_somebody() {
    for value in ["bob@example.com", "555-bob-1", "Dr. bob Nobody", &KeyHash::of("bob@example.com").to_string()] {
        let mut settled = Settled::new().await;
        let (key, body) = settled.object(Table::MachineLearningCurated).await;
        let telling = key.replace(".parquet", &format!("-{value}.parquet"));
        assert_ne!(key, telling);
        let violations = settled.watch.stored(&telling, &body);
        assert_broken(&violations, Invariant::Anonymity, "holds");
        assert_eq!(invariants(&violations), [Invariant::Anonymity].into(), "{value}");
    }
}

#[tokio::test]
async fn anonymity_fails_where_the_footer_says_anything() {
    let mut settled = Settled::new().await;
    let (key, body) = settled.object(Table::MachineLearningCurated).await;
    let violations =
        settled.watch.stored(&key, &with_metadata(Table::MachineLearningCurated, &body, &[("files", "3")]));
    assert_broken(&violations, Invariant::Anonymity, "files=3");
}

#[test]
fn files_are_of_the_kinds_that_their_names_say() {
    let sources: Vec<_> = landings().iter().map(|landing| landing.source().unwrap()).collect();
    assert_eq!(sources, Source::ALL);
}
