//! The checks can fail: each test violates one invariant by hand, in a lake that is correct otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use formats::cell::Cell;
use formats::columnar::{self, Decoder, Metadata};
use functions::World;
use model::hash::HashKey;
use model::lake_config::{ConsentPolicy, LakeConfig, Pairs};
use model::layout::Source;
use model::table::Table;
use parquet::arrow::ArrowWriter;
use sha2::{Digest, Sha256};
use simulation::checks::watch::{Watch, header};
use simulation::checks::{Invariant, Violation, at_rest};
use simulation::scenario::{Content, Files, Line, Motion, Record, Research, Step, Upload, Version};
use simulation::tables::rows_of;
use std::collections::BTreeSet;

const CUSTOMERS: &str = "customer/landing/customers.json";
const MOTIONS: &str = "accelerometer/landing/motions.json";
const STEPS: &str = "step_trainer/landing/steps.json";

fn record(name: &str, device: u8, research: Research) -> Line {
    let name = name.to_owned();
    let (spelling, registered, updated, spoiled) = (0, Some(0), None, None);
    Line::Customer(Record { name, spelling, phone: 1, device: Some(device), registered, updated, research, spoiled })
}

/// Two customers who consent, one who does not, and a reading of each kind of all three.
fn uploads() -> Vec<Upload> {
    let upload = |key: &str, lines| Upload { at_ms: 0, key: key.to_owned(), content: Content::Lines(lines) };
    let consent = Research::Since(0);
    let people = [("ann", consent), ("bob", consent), ("eve", Research::Absent)];
    let customers = people.iter().zip(0..).map(|((name, research), device)| record(name, device, *research));
    let (spelling, time) = (0, 3_600_000);
    let motion = |(name, number): (&str, i32)| Line::Motion(Motion { name: name.to_owned(), spelling, time, number });
    let step = |(device, number)| Line::Step(Step { device, spelling, time, number });
    let mut motions: Vec<Line> = [("ann", 1), ("bob", 2), ("eve", 3)].map(motion).into();
    motions.push(Line::Broken("not json".to_owned()));
    vec![
        upload(CUSTOMERS, customers.collect()),
        upload(MOTIONS, motions),
        upload(STEPS, [(0, 4), (1, 5), (2, 6)].map(step).into()),
    ]
}

/// A lake at rest that has these uploads.
struct AtRest {
    world: World,
    /// Each with the time at which its file was stored.
    uploads: Vec<(Upload, i64)>,
    watch: Watch,
}

impl AtRest {
    async fn new() -> Self {
        let mut lake =
            Self { world: World::new(ConsentPolicy::Ever).await, uploads: Vec::new(), watch: Watch::default() };
        for upload in uploads() {
            lake.ingest(upload).await;
        }
        for key in lake.world.objects().await.into_keys() {
            assert_eq!(lake.watch.check_object(&key, &lake.world.body(&key).await.unwrap()), [], "{key}");
        }
        assert_eq!(lake.check().await, [], "the lake is correct");
        lake
    }

    /// Uploads a file, and delivers its events.
    async fn ingest(&mut self, upload: Upload) {
        self.world.ingest(&upload.key, upload.content.bytes()).await;
        let body = self.world.lake.store.open(&self.world.lake.at(upload.key.as_str())).await.unwrap();
        let stored_ms = body.expect("a landing file").stored_ms;
        self.watch.add_upload(&upload, stored_ms);
        self.uploads.push((upload, stored_ms));
    }

    async fn check(&self) -> Vec<Violation> {
        self.check_as(self.world.lake.config()).await
    }

    /// Checks the lake as if it was made with this config.
    async fn check_as(&self, config: LakeConfig) -> Vec<Violation> {
        let versions = self
            .uploads
            .iter()
            .map(|(Upload { key, content, .. }, stored_ms)| (key.as_str(), Version { content, stored_ms: *stored_ms }));
        let files: Files<'_> = versions.collect();
        let snapshot = at_rest::snapshot(&self.world.lake).await.unwrap();
        at_rest::check(&snapshot, config, &files, &self.watch).unwrap()
    }

    /// When a landing file was stored.
    fn stored_ms(&self, key: &str) -> i64 {
        self.uploads.iter().find(|(upload, _)| upload.key == key).expect(key).1
    }

    /// The first key with this prefix.
    async fn key(&self, prefix: &str) -> String {
        let keys = self.world.objects().await.into_keys();
        keys.into_iter().find(|key| key.starts_with(prefix)).expect(prefix)
    }

    /// An object with a row of ann, or any object of the training table.
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

    /// Replaces the first object with this prefix by the result of `edit`.
    async fn edit(&self, prefix: &str, edit: impl FnOnce(Bytes) -> Vec<u8>) {
        let key = self.key(prefix).await;
        self.world.put(&key, edit(self.world.body(&key).await.unwrap())).await;
    }
}

fn invariants(violations: &[Violation]) -> BTreeSet<Invariant> {
    violations.iter().map(|violation| violation.invariant).collect()
}

#[track_caller]
fn assert_violated(violations: &[Violation], invariant: Invariant, words: &str) {
    let found = violations.iter().any(|violation| violation.invariant == invariant && violation.what.contains(words));
    assert!(found, "{invariant} is not violated with {words:?}: {violations:#?}");
}

/// The same object without its first row.
fn without_first_row(table: Table, body: Bytes) -> Vec<u8> {
    if [Table::AccelerometerTrusted, Table::StepTrainerTrusted].contains(&table) {
        let mut cell = Cell::decode(table, body).unwrap();
        let entry = cell.entries.values_mut().find(|entry| entry.rows.num_rows() > 0).unwrap();
        entry.rows = entry.rows.slice(1, entry.rows.num_rows() - 1);
        return cell.encode().unwrap().into();
    }
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
async fn convergence_fails_if_a_row_is_missing() {
    for table in Table::DERIVED {
        let lake = AtRest::new().await;
        let (key, body) = lake.object(table).await;
        lake.world.put(&key, without_first_row(table, body)).await;
        let violations = lake.check().await;
        assert_violated(&violations, Invariant::Convergence, "missing: ");
        assert_violated(&violations, Invariant::Convergence, table.name());
    }
}

#[tokio::test]
async fn convergence_fails_if_there_is_an_extra_row() {
    let lake = AtRest::new().await;
    let (_, body) = lake.object(Table::AccelerometerTrusted).await;
    lake.world.put("accelerometer/trusted/dt=2022-06-18/hour=01/again.parquet", body).await;
    let violations = lake.check().await;
    assert_violated(&violations, Invariant::Convergence, "too many: dt=2022-06-18/hour=01 ann@example.com");
    assert_eq!(invariants(&violations), [Invariant::Convergence, Invariant::RowCounts].into());
}

#[tokio::test]
async fn convergence_fails_if_a_pair_is_of_two_customers_in_a_lake_of_pairs_of_one() {
    let lake = AtRest::new().await;
    let violations = lake.check_as(LakeConfig { pairs: Pairs::SameCustomer, ..lake.world.lake.config() }).await;
    let pairs = ["4 2 -0.5 0.25 false", "5 1 -0.5 0.25 false"];
    let hour = "dt=2022-06-18/hour=01 1655514000000";
    let more = format!("has 4 rows, not 2; missing: none; too many: {hour} {} | {hour} {}", pairs[0], pairs[1]);
    assert_violated(&violations, Invariant::Convergence, &more);
    assert_eq!(invariants(&violations), [Invariant::Convergence].into());
}

#[tokio::test]
async fn convergence_fails_if_an_object_cannot_be_read() {
    let mut lake = AtRest::new().await;
    let (key, body) = lake.object(Table::CustomerTrusted).await;
    assert_violated(&lake.watch.check_object(&key, &body.slice(8..)), Invariant::Convergence, "cannot be read");
}

#[tokio::test]
async fn safety_fails_if_a_customer_never_consented() {
    let lake = AtRest::new().await;
    let mut watch = Watch::default();
    for mut upload in uploads() {
        if let Content::Lines(lines) = &mut upload.content {
            // As if ann had never consented, and the lake held her rows all the same.
            for line in lines.iter_mut() {
                if matches!(line, Line::Customer(record) if record.name == "ann") {
                    *line = record("ann", 0, Research::Absent);
                }
            }
        }
        watch.add_upload(&upload, lake.stored_ms(&upload.key));
    }
    for table in Table::DERIVED {
        let (key, body) = lake.object(table).await;
        let violations = watch.check_object(&key, &body);
        assert_violated(&violations, Invariant::Safety, "ann@example.com");
        assert_eq!(invariants(&violations), [Invariant::Safety].into(), "{table}");
    }
}

#[tokio::test]
async fn safety_fails_if_a_reading_was_never_uploaded() {
    let lake = AtRest::new().await;
    let (key, body) = lake.object(Table::MachineLearningCurated).await;
    let violations = Watch::default().check_object(&key, &body);
    assert_violated(&violations, Invariant::Safety, "never uploaded");
}

#[tokio::test]
async fn withdrawal_fails_if_a_value_remains_anywhere() {
    for value in ["eve@example.com", "Dr. eve Surname", "555-eve", "1399-eve"] {
        for key in ["_state/manifests/eve.json", "lookup/readings/left.json", "receipts/customer/left.json"] {
            let lake = AtRest::new().await;
            lake.world.put(key, format!("{{\"left\":\"{value}\"}}")).await;
            let violations = lake.check().await;
            assert_violated(&violations, Invariant::Withdrawal, key);
            assert_eq!(invariants(&violations), [Invariant::Withdrawal].into(), "{violations:#?}");
        }
    }
}

#[tokio::test]
async fn withdrawal_fails_if_a_row_remains() {
    let mut lake = AtRest::new().await;
    // Ann withdraws, and no function is triggered.
    let lines = vec![
        record("ann", 0, Research::Null),
        record("bob", 1, Research::Since(0)),
        record("eve", 2, Research::Absent),
    ];
    let upload = Upload { at_ms: 0, key: CUSTOMERS.to_owned(), content: Content::Lines(lines) };
    lake.watch.add_upload(&upload, lake.stored_ms(CUSTOMERS));
    lake.uploads[0].0 = upload;
    let violations = lake.check().await;
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
async fn withdrawal_fails_if_a_withdrawal_is_forgotten() {
    let mut lake = AtRest::new().await;
    let (key, consenting) = lake.object(Table::CustomerTrusted).await;
    let lines = vec![record("ann", 0, Research::False)];
    let upload =
        Upload { at_ms: 0, key: "customer/landing/withdrawal.json".to_owned(), content: Content::Lines(lines) };
    lake.ingest(upload).await;
    assert_eq!(lake.watch.check_object(&key, &lake.world.body(&key).await.unwrap()), []);
    assert_eq!(lake.check().await, []);
    assert_violated(&lake.watch.check_object(&key, &consenting), Invariant::Withdrawal, "and now has");
    lake.world.put(&key, consenting).await;
    assert_violated(&lake.check().await, Invariant::Withdrawal, "but the current files say");
}

#[tokio::test]
async fn withdrawal_fails_if_no_record_said_so() {
    let lake = AtRest::new().await;
    let mut watch = Watch::default();
    for (mut upload, stored_ms) in lake.uploads.clone() {
        if let Content::Lines(lines) = &mut upload.content {
            // As if eve had consented, and the lake knew a withdrawal all the same.
            for line in lines.iter_mut() {
                if matches!(line, Line::Customer(record) if record.name == "eve") {
                    *line = record("eve", 2, Research::Since(0));
                }
            }
        }
        watch.add_upload(&upload, stored_ms);
    }
    let mut violations = Vec::new();
    for key in lake.world.objects().await.into_keys().filter(|key| key.starts_with(Table::CustomerTrusted.prefix())) {
        violations.extend(watch.check_object(&key, &lake.world.body(&key).await.unwrap()));
    }
    assert_violated(&violations, Invariant::Withdrawal, "no record of customer");
    assert_eq!(invariants(&violations), [Invariant::Withdrawal].into());
}

#[tokio::test]
async fn withdrawal_ignores_landing_and_quarantine() {
    let lake = AtRest::new().await;
    lake.world.put("quarantine/customer/another.jsonl", "eve@example.com\n").await;
    assert_eq!(lake.check().await, []);
}

#[tokio::test]
async fn row_counts_fail_if_a_receipt_is_wrong() {
    for field in ["rows", "kept", "quarantined"] {
        let lake = AtRest::new().await;
        lake.edit("receipts/accelerometer/", |body| raised(&body, &[field])).await;
        assert_violated(&lake.check().await, Invariant::RowCounts, "the sum is wrong");
    }
    // The sum is right, but its terms are not.
    let lake = AtRest::new().await;
    lake.edit("receipts/accelerometer/", |body| raised(&body, &["rows", "quarantined"])).await;
    let violations = lake.check().await;
    assert_violated(&violations, Invariant::RowCounts, "rows are wrong");
    assert_violated(&violations, Invariant::RowCounts, "quarantined is wrong");
    assert_eq!(invariants(&violations), [Invariant::RowCounts].into());
    let lake = AtRest::new().await;
    lake.edit("receipts/step_trainer/", |body| raised(&body, &["rows", "kept"])).await;
    assert_violated(&lake.check().await, Invariant::RowCounts, "kept is not the sum of the outputs");
    let lake = AtRest::new().await;
    lake.edit("receipts/customer/", |body| raised(&body, &["rows", "kept"])).await;
    assert_violated(&lake.check().await, Invariant::RowCounts, "kept is not the sum of the outputs");
}

/// The receipt with each of these fields raised by one.
fn raised(body: &[u8], fields: &[&str]) -> Vec<u8> {
    let mut receipt: serde_json::Value = serde_json::from_slice(body).unwrap();
    for field in fields {
        receipt[*field] = (receipt[*field].as_u64().unwrap() + 1).into();
    }
    receipt.to_string().into()
}

#[tokio::test]
async fn row_counts_fail_if_a_cell_lacks_a_row_of_a_file() {
    let lake = AtRest::new().await;
    lake.edit("step_trainer/trusted/", |body| without_first_row(Table::StepTrainerTrusted, body)).await;
    assert_violated(&lake.check().await, Invariant::RowCounts, "the cells have 1 rows");
    let lake = AtRest::new().await;
    lake.edit("quarantine/accelerometer/", |_| Vec::new()).await;
    assert_violated(&lake.check().await, Invariant::RowCounts, "its quarantine has 0 lines");
    let lake = AtRest::new().await;
    lake.world.expire(&lake.key("receipts/step_trainer/").await);
    assert_violated(&lake.check().await, Invariant::RowCounts, &format!("{STEPS} has no receipt"));
}

#[tokio::test]
async fn catalog_fails_if_a_partition_is_not_registered() {
    for table in [Table::AccelerometerTrusted, Table::StepTrainerTrusted, Table::MachineLearningCurated] {
        let mut lake = AtRest::new().await;
        let (key, body) = lake.object(table).await;
        // It once had rows in another hour, and no function registered that partition.
        let elsewhere = key.replace("hour=01", "hour=02");
        assert_ne!(key, elsewhere);
        assert_eq!(lake.watch.check_object(&elsewhere, &body), []);
        let violations = lake.check().await;
        assert_violated(&violations, Invariant::Catalog, table.name());
        assert_eq!(invariants(&violations), [Invariant::Catalog].into());
    }
}

#[tokio::test]
async fn catalog_fails_if_a_registered_partition_never_had_rows() {
    let mut lake = AtRest::new().await;
    // As if no object had ever been stored.
    lake.watch = Watch::default();
    lake.uploads.iter().for_each(|(upload, stored_ms)| lake.watch.add_upload(upload, *stored_ms));
    let violations = lake.check().await;
    assert_violated(&violations, Invariant::Catalog, "dt=2022-06-18/hour=01");
    assert_eq!(invariants(&violations), [Invariant::Catalog].into());
}

#[tokio::test]
async fn determinism_fails_if_the_same_rows_have_other_bytes() {
    for table in Table::DERIVED {
        let mut lake = AtRest::new().await;
        let (key, body) = lake.object(table).await;
        let violations = lake.watch.check_object(&key, &in_other_bytes(table, &body));
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
    writer.write_all(header(body, reader.metadata())).unwrap();
    for batch in Decoder::new(body.clone(), table.name()).unwrap().batches(table).unwrap() {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.into_inner().unwrap().into()
}

#[tokio::test]
async fn no_identifiers_fails_if_the_footer_has_one() {
    let email = "bob@example.com";
    let sha256: String = Sha256::digest(email).iter().map(|byte| format!("{byte:02x}")).collect();
    let identifiers =
        [email, "555-bob-1", "serial-number-1", "1399-bob", &HashKey::public().of(email).to_string(), &sha256];
    for value in identifiers {
        let mut lake = AtRest::new().await;
        let (key, body) = lake.object(Table::MachineLearningCurated).await;
        let violations =
            lake.watch.check_object(&key, &with_metadata(Table::MachineLearningCurated, &body, &[("from", value)]));
        assert_violated(&violations, Invariant::NoIdentifiers, "holds");
        assert_violated(&violations, Invariant::NoIdentifiers, "more in its footer");
    }
}

#[tokio::test]
async fn no_identifiers_fails_if_the_key_has_one() {
    for value in
        ["bob@example.com", "555-bob-1", "Dr. bob Surname", &HashKey::public().of("bob@example.com").to_string()]
    {
        let mut lake = AtRest::new().await;
        let (key, body) = lake.object(Table::MachineLearningCurated).await;
        let personal_key = key.replace(".parquet", &format!("-{value}.parquet"));
        assert_ne!(key, personal_key);
        let violations = lake.watch.check_object(&personal_key, &body);
        assert_violated(&violations, Invariant::NoIdentifiers, "holds");
        assert_eq!(invariants(&violations), [Invariant::NoIdentifiers].into(), "{value}");
    }
}

#[tokio::test]
async fn no_identifiers_fails_if_the_footer_has_any_metadata() {
    let mut lake = AtRest::new().await;
    let (key, body) = lake.object(Table::MachineLearningCurated).await;
    let violations =
        lake.watch.check_object(&key, &with_metadata(Table::MachineLearningCurated, &body, &[("files", "3")]));
    assert_violated(&violations, Invariant::NoIdentifiers, "files=3");
}

#[test]
fn key_prefix_gives_the_source() {
    let sources: Vec<_> = uploads().iter().map(|upload| upload.source().unwrap()).collect();
    assert_eq!(sources, Source::ALL);
}
