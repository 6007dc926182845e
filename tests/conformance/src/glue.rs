//! The data catalog: databases, tables and partitions.

use crate::{Target, refusal};
use aws_sdk_glue::types::{
    Column, DatabaseInput, PartitionInput, PartitionValueList, SerDeInfo, StorageDescriptor, TableInput,
};

/// A table with the partition keys dt and hour.
pub(crate) async fn create_table(target: &Target, name: &str) {
    let create = target.glue.create_table().database_name(&target.database).table_input(table(name).build().unwrap());
    create.send().await.unwrap();
}

pub(crate) fn table(name: &str) -> aws_sdk_glue::types::builders::TableInputBuilder {
    TableInput::builder()
        .name(name)
        .description("readings")
        .table_type("EXTERNAL_TABLE")
        .parameters("classification", "parquet")
        .partition_keys(column("dt", "string"))
        .partition_keys(column("hour", "string"))
        .storage_descriptor(storage("s3://lake/readings/"))
}

fn column(name: &str, kind: &str) -> Column {
    Column::builder().name(name).r#type(kind).build().unwrap()
}

fn storage(location: &str) -> StorageDescriptor {
    let serde = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";
    StorageDescriptor::builder()
        .location(location)
        .columns(column("timestamp", "bigint"))
        .columns(column("x", "double"))
        .input_format("org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat")
        .serde_info(SerDeInfo::builder().serialization_library(serde).parameters("a", "1").build())
        .build()
}

pub(crate) fn partition(dt: &str, hour: &str) -> PartitionInput {
    let location = format!("s3://lake/readings/dt={dt}/hour={hour}/");
    PartitionInput::builder()
        .values(dt)
        .values(hour)
        .storage_descriptor(storage(&location))
        .parameters("rows", "7")
        .build()
}

pub(crate) async fn create(target: &Target, partitions: Vec<PartitionInput>) -> Vec<(Vec<String>, String)> {
    let create = target.glue.batch_create_partition().database_name(&target.database).table_name("readings");
    let answer = create.set_partition_input_list(Some(partitions)).send().await.unwrap();
    answer.errors().iter().map(named).collect()
}

fn named(error: &aws_sdk_glue::types::PartitionError) -> (Vec<String>, String) {
    (error.partition_values().to_vec(), error.error_detail().unwrap().error_code().unwrap().to_owned())
}

/// The values of all partitions, page by page, sorted.
pub(crate) async fn listed(target: &Target) -> Vec<Vec<String>> {
    let list = target.glue.get_partitions().database_name(&target.database).table_name("readings").max_results(100);
    let mut pages = list.into_paginator().send();
    let mut all = Vec::new();
    while let Some(page) = pages.next().await {
        all.extend(page.unwrap().partitions().iter().map(|partition| partition.values().to_vec()));
    }
    all.sort();
    all
}

pub async fn a_table_is_returned_as_it_was_created(target: &Target) {
    create_table(target, "readings").await;
    let get = target.glue.get_table().database_name(&target.database).name("readings");
    let stored = get.send().await.unwrap().table.unwrap();
    assert_eq!(stored.name(), "readings");
    assert_eq!(stored.database_name(), Some(target.database.as_str()));
    assert_eq!(stored.description(), Some("readings"));
    assert_eq!(stored.table_type(), Some("EXTERNAL_TABLE"));
    assert_eq!(stored.parameters().unwrap()["classification"], "parquet");
    let keys: Vec<_> = stored.partition_keys().iter().map(Column::name).collect();
    assert_eq!(keys, ["dt", "hour"]);
    assert_eq!(stored.storage_descriptor(), Some(&storage("s3://lake/readings/")));
}

pub async fn missing_entities_are_entity_not_found(target: &Target) {
    let expected = (400, Some("EntityNotFoundException".to_owned()));
    let glue = &target.glue;
    assert_eq!(refusal!(glue.get_database().name("missing").send().await), expected);
    let table = glue.get_table().database_name(&target.database).name("missing");
    let error = table.clone().send().await.expect_err("nothing is there").into_service_error();
    assert!(error.is_entity_not_found_exception());
    assert_eq!(refusal!(table.send().await), expected);
    let partitions = glue.get_partitions().database_name(&target.database).table_name("missing");
    assert_eq!(refusal!(partitions.send().await), expected);
    let batch = glue.batch_create_partition().database_name(&target.database).table_name("missing");
    assert_eq!(refusal!(batch.partition_input_list(partition("1", "2")).send().await), expected);

    create_table(target, "readings").await;
    let get = glue.get_partition().database_name(&target.database).table_name("readings");
    assert_eq!(refusal!(get.partition_values("1").partition_values("2").send().await), expected);
    let update = glue.update_table().database_name(&target.database).table_input(self::table("other").build().unwrap());
    assert_eq!(refusal!(update.send().await), expected);
}

pub async fn existing_entities_are_already_exists(target: &Target) {
    let expected = (400, Some("AlreadyExistsException".to_owned()));
    create_table(target, "readings").await;
    let again = target.glue.create_table().database_name(&target.database);
    assert_eq!(refusal!(again.table_input(table("readings").build().unwrap()).send().await), expected);
    let database = DatabaseInput::builder().name(&target.database).build().unwrap();
    assert_eq!(refusal!(target.glue.create_database().database_input(database).send().await), expected);
    let partition = target.glue.create_partition().database_name(&target.database).table_name("readings");
    let partition = partition.partition_input(self::partition("2022-06-18", "14"));
    partition.clone().send().await.unwrap();
    assert_eq!(refusal!(partition.send().await), expected);
}

pub async fn an_update_replaces_the_table(target: &Target) {
    create_table(target, "readings").await;
    let new = TableInput::builder().name("readings").description("new").parameters("k", "v").build().unwrap();
    target.glue.update_table().database_name(&target.database).table_input(new).send().await.unwrap();
    let get = target.glue.get_table().database_name(&target.database).name("readings");
    let stored = get.send().await.unwrap().table.unwrap();
    assert_eq!(stored.description(), Some("new"));
    assert_eq!(stored.parameters().unwrap().len(), 1);
}

pub async fn tables_are_listed(target: &Target) {
    for name in ["b", "a", "c"] {
        create_table(target, name).await;
    }
    let answer = target.glue.get_tables().database_name(&target.database).send().await.unwrap();
    let mut names: Vec<_> = answer.table_list().iter().map(|table| table.name().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
}

/// A 200 does not mean that all is well.
pub async fn a_batch_names_each_partition_that_exists(target: &Target) {
    create_table(target, "readings").await;
    assert_eq!(create(target, vec![partition("d1", "h1"), partition("d1", "h2")]).await, []);
    let errors = create(target, vec![partition("d1", "h2"), partition("d2", "h1")]).await;
    assert_eq!(errors, [(vec!["d1".to_owned(), "h2".to_owned()], "AlreadyExistsException".to_owned())]);
    assert_eq!(listed(target).await, [["d1", "h1"], ["d1", "h2"], ["d2", "h1"]]);

    let get = target.glue.get_partition().database_name(&target.database).table_name("readings");
    let stored = get.partition_values("d2").partition_values("h1").send().await.unwrap().partition.unwrap();
    assert_eq!(stored.storage_descriptor().unwrap().location(), Some("s3://lake/readings/dt=d2/hour=h1/"));
    assert_eq!(stored.parameters().unwrap()["rows"], "7");
}

pub async fn a_batch_deletes_and_names_each_partition_that_is_missing(target: &Target) {
    create_table(target, "readings").await;
    create(target, vec![partition("d1", "h1"), partition("d1", "h2"), partition("d1", "h3")]).await;
    let values = |hour: &str| PartitionValueList::builder().values("d1").values(hour).build().unwrap();
    let delete = target.glue.batch_delete_partition().database_name(&target.database).table_name("readings");
    let delete = delete.partitions_to_delete(values("h1")).partitions_to_delete(values("h9"));
    let answer = delete.send().await.unwrap();
    let errors: Vec<_> = answer.errors().iter().map(named).collect();
    assert_eq!(errors, [(vec!["d1".to_owned(), "h9".to_owned()], "EntityNotFoundException".to_owned())]);
    let delete = target.glue.delete_partition().database_name(&target.database).table_name("readings");
    let delete = delete.partition_values("d1").partition_values("h2");
    delete.clone().send().await.unwrap();
    assert_eq!(refusal!(delete.send().await), (400, Some("EntityNotFoundException".into())));
    assert_eq!(listed(target).await, [["d1", "h3"]]);
}

pub async fn all_partitions_are_listed_once(target: &Target) {
    create_table(target, "readings").await;
    let all: Vec<_> = (0..250).map(|number| [format!("d{:02}", number / 24), format!("{:02}", number % 24)]).collect();
    for batch in all.chunks(100) {
        assert_eq!(create(target, batch.iter().map(|[dt, hour]| partition(dt, hour)).collect()).await, []);
    }
    assert_eq!(listed(target).await, all);
}

/// The hours of the partitions that an expression selects, sorted.
pub(crate) async fn chosen(target: &Target, expression: &str) -> Vec<String> {
    let list = target.glue.get_partitions().database_name(&target.database).table_name("readings");
    let mut pages = list.expression(expression).max_results(2).into_paginator().send();
    let mut hours = Vec::new();
    while let Some(page) = pages.next().await {
        hours.extend(page.unwrap().partitions().iter().map(|partition| partition.values()[1].clone()));
    }
    hours.sort();
    hours
}

pub async fn partitions_are_chosen_by_an_expression(target: &Target) {
    create_table(target, "readings").await;
    let hours = ["12", "13", "14", "15", "16"];
    create(target, hours.iter().map(|hour| partition("2022-06-18", hour)).collect()).await;
    create(target, vec![partition("2022-06-19", "17")]).await;
    for (expression, expected) in [
        ("dt='2022-06-18' AND hour>='14'", &["14", "15", "16"][..]),
        ("hour IN ('12', '17')", &["12", "17"]),
        ("dt = '2022-06-19' OR hour = '12'", &["12", "17"]),
        ("dt = '2022-06-18' AND hour BETWEEN '13' AND '14'", &["13", "14"]),
        ("dt LIKE '%-19'", &["17"]),
        ("(hour = '12' OR hour = '13') AND dt = '2022-06-19'", &[]),
        ("hour > '00'", &["12", "13", "14", "15", "16", "17"]),
    ] {
        assert_eq!(chosen(target, expression).await, expected, "{expression}");
    }
}

pub async fn a_database_is_listed_changed_and_deleted(target: &Target) {
    let name = format!("{}-other", target.database);
    let glue = &target.glue;
    let described = |text: &str| DatabaseInput::builder().name(&name).description(text).build().unwrap();
    glue.create_database().database_input(described("old")).send().await.unwrap();
    glue.update_database().name(&name).database_input(described("new")).send().await.unwrap();
    let mut pages = glue.get_databases().into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        found.extend(page.unwrap().database_list);
    }
    let mine: Vec<_> = found.iter().filter(|database| database.name() == name).collect();
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0].description(), Some("new"));
    glue.delete_database().name(&name).send().await.unwrap();
    assert_eq!(refusal!(glue.get_database().name(&name).send().await), (400, Some("EntityNotFoundException".into())));
    assert_eq!(
        refusal!(glue.delete_database().name(&name).send().await),
        (400, Some("EntityNotFoundException".into()))
    );
}

/// Partitions are a table's: another of the same name has none of them.
pub async fn a_recreated_table_has_no_partitions(target: &Target) {
    create_table(target, "readings").await;
    create(target, vec![partition("d1", "h1")]).await;
    let delete = target.glue.delete_table().database_name(&target.database).name("readings");
    delete.clone().send().await.unwrap();
    assert_eq!(refusal!(delete.send().await), (400, Some("EntityNotFoundException".into())));
    let get = target.glue.get_table().database_name(&target.database).name("readings");
    assert_eq!(refusal!(get.send().await), (400, Some("EntityNotFoundException".into())));
    create_table(target, "readings").await;
    assert_eq!(listed(target).await, [["", ""]; 0]);
}

pub async fn a_partition_is_replaced(target: &Target) {
    create_table(target, "readings").await;
    create(target, vec![partition("d1", "h1"), partition("d1", "h2")]).await;
    let update = |values: [&str; 2], input: PartitionInput| {
        let update = target.glue.update_partition().database_name(&target.database).table_name("readings");
        update.partition_value_list(values[0]).partition_value_list(values[1]).partition_input(input).send()
    };
    let new = PartitionInput::builder().values("d1").values("h1").parameters("rows", "8").build();
    update(["d1", "h1"], new).await.unwrap();
    update(["d1", "h2"], partition("d2", "h2")).await.unwrap();
    assert_eq!(listed(target).await, [["d1", "h1"], ["d2", "h2"]]);
    let get = target.glue.get_partition().database_name(&target.database).table_name("readings");
    let stored = get.partition_values("d1").partition_values("h1").send().await.unwrap().partition.unwrap();
    assert_eq!(stored.parameters().unwrap()["rows"], "8");
    let missing = update(["d9", "h9"], partition("d9", "h9")).await;
    assert_eq!(refusal!(missing), (400, Some("EntityNotFoundException".into())));
}

pub async fn partitions_are_read_in_a_batch(target: &Target) {
    create_table(target, "readings").await;
    create(target, vec![partition("d1", "h1"), partition("d1", "h2")]).await;
    let values = |hour: &str| PartitionValueList::builder().values("d1").values(hour).build().unwrap();
    let get = target.glue.batch_get_partition().database_name(&target.database).table_name("readings");
    let found = get.partitions_to_get(values("h2")).partitions_to_get(values("h9")).send().await.unwrap();
    let hours: Vec<_> = found.partitions().iter().map(|partition| partition.values()[1].as_str()).collect();
    assert_eq!(hours, ["h2"]);
}
