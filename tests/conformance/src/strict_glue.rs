//! Limits, checks and further operations of Glue and this emulator, which other emulators need not have.

use crate::glue::{chosen, create, create_table, listed, partition, table};
use crate::{Target, refusal};
use aws_sdk_glue::error::ProvideErrorMetadata;
use aws_sdk_glue::types::{BatchUpdatePartitionRequestEntry, DatabaseInput, Segment};

const INVALID: &str = "InvalidInputException";
const MISSING: &str = "EntityNotFoundException";

pub async fn an_invalid_expression_is_refused(target: &Target) {
    create_table(target, "readings").await;
    create(target, vec![partition("2022-06-18", "14")]).await;
    for expression in ["dt", "dt = 2022", "minute = '1'", "dt = '1' OR", "(dt = '1'", "dt = '1'; dt = '2'"] {
        let list = target.glue.get_partitions().database_name(&target.database).table_name("readings");
        let error = list.expression(expression).send().await.expect_err(expression);
        assert_eq!(error.code(), Some(INVALID), "{expression}");
        assert!(error.message().unwrap().contains(expression), "{error:?}");
    }
    assert_eq!(chosen(target, "NOT hour = '13' AND dt <> 'x'").await, ["14"]);
}

pub async fn segments_cover_a_table_once(target: &Target) {
    create_table(target, "readings").await;
    create(target, (0..40).map(|hour| partition("d1", &format!("{hour:02}"))).collect()).await;
    let mut all = Vec::new();
    for number in 0..3 {
        let segment = Segment::builder().segment_number(number).total_segments(3).build().unwrap();
        let list = target.glue.get_partitions().database_name(&target.database).table_name("readings");
        let mut pages = list.segment(segment).max_results(7).into_paginator().send();
        let before = all.len();
        while let Some(page) = pages.next().await {
            all.extend(page.unwrap().partitions().iter().map(|partition| partition.values()[1].clone()));
        }
        assert!(all.len() > before, "segment {number} is empty");
    }
    all.sort();
    assert_eq!(all, (0..40).map(|hour| format!("{hour:02}")).collect::<Vec<_>>());
    let wrong = Segment::builder().segment_number(3).total_segments(3).build().unwrap();
    let list = target.glue.get_partitions().database_name(&target.database).table_name("readings").segment(wrong);
    assert_eq!(refusal!(list.send().await), (400, Some(INVALID.into())));
}

pub async fn columns_of_partitions_are_left_out_on_demand(target: &Target) {
    create_table(target, "readings").await;
    create(target, vec![partition("d1", "h1")]).await;
    let list = target.glue.get_partitions().database_name(&target.database).table_name("readings");
    let columns = async |exclude: bool| {
        let answer = list.clone().exclude_column_schema(exclude).send().await.unwrap();
        answer.partitions()[0].storage_descriptor().unwrap().columns().len()
    };
    assert_eq!((columns(true).await, columns(false).await), (0, 2));
}

pub async fn tables_are_listed_by_a_pattern(target: &Target) {
    for name in ["customer_landing", "customer_trusted", "step_trainer_landing"] {
        create_table(target, name).await;
    }
    for (expression, expected) in [
        ("customer*", &["customer_landing", "customer_trusted"][..]),
        ("*_landing", &["customer_landing", "step_trainer_landing"]),
        (".*trainer.*|customer_trusted", &["customer_trusted", "step_trainer_landing"]),
        ("customer", &[]),
    ] {
        let list = target.glue.get_tables().database_name(&target.database).expression(expression);
        let answer = list.send().await.unwrap();
        let mut names: Vec<_> = answer.table_list().iter().map(|table| table.name().to_owned()).collect();
        names.sort();
        assert_eq!(names, expected, "{expression}");
    }
    let list = target.glue.get_tables().database_name(&target.database).expression("(");
    assert_eq!(refusal!(list.send().await), (400, Some(INVALID.into())));
}

pub async fn tables_are_deleted_in_a_batch(target: &Target) {
    create_table(target, "a").await;
    create_table(target, "b").await;
    let delete = target.glue.batch_delete_table().database_name(&target.database);
    let answer = delete.tables_to_delete("a").tables_to_delete("missing").send().await.unwrap();
    let errors: Vec<_> = answer.errors().iter().map(|error| error.table_name().unwrap()).collect();
    assert_eq!(errors, ["missing"]);
    let left = target.glue.get_tables().database_name(&target.database).send().await.unwrap();
    let left: Vec<_> = left.table_list().iter().map(|table| table.name()).collect();
    assert_eq!(left, ["b"]);
}

pub async fn a_database_is_deleted_with_its_tables(target: &Target) {
    create_table(target, "readings").await;
    create(target, vec![partition("d1", "h1")]).await;
    target.glue.delete_database().name(&target.database).send().await.unwrap();
    let list = target.glue.get_tables().database_name(&target.database);
    assert_eq!(refusal!(list.clone().send().await), (400, Some(MISSING.into())));
    let database = DatabaseInput::builder().name(&target.database).build().unwrap();
    target.glue.create_database().database_input(database).send().await.unwrap();
    assert_eq!(list.send().await.unwrap().table_list().len(), 0);
    create_table(target, "readings").await;
    assert_eq!(listed(target).await, [["", ""]; 0]);
}

pub async fn a_batch_of_updates_names_each_partition_that_is_missing(target: &Target) {
    create_table(target, "readings").await;
    create(target, vec![partition("d1", "h1"), partition("d1", "h2")]).await;
    let entry = |old: &str, new: &str| {
        let entry = BatchUpdatePartitionRequestEntry::builder().partition_value_list("d1").partition_value_list(old);
        entry.partition_input(partition("d1", new)).build().unwrap()
    };
    let update = target.glue.batch_update_partition().database_name(&target.database).table_name("readings");
    let answer = update.entries(entry("h1", "h3")).entries(entry("h9", "h9")).send().await.unwrap();
    let errors: Vec<_> = answer.errors().iter().map(|error| error.partition_value_list()[1].clone()).collect();
    assert_eq!(errors, ["h9"]);
    assert_eq!(listed(target).await, [["d1", "h2"], ["d1", "h3"]]);
}

pub async fn the_current_version_of_a_table_is_returned(target: &Target) {
    create_table(target, "readings").await;
    let new = table("readings").description("new").build().unwrap();
    target.glue.update_table().database_name(&target.database).table_input(new).send().await.unwrap();
    let list = target.glue.get_table_versions().database_name(&target.database).table_name("readings");
    let versions = list.send().await.unwrap();
    let version = versions.table_versions().first().unwrap();
    assert_eq!(version.table().unwrap().description(), Some("new"));
    let get = target.glue.get_table_version().database_name(&target.database).table_name("readings");
    let same = get.clone().version_id(version.version_id().unwrap()).send().await.unwrap();
    assert_eq!(same.table_version().unwrap().table(), version.table());
    assert_eq!(refusal!(get.version_id("77").send().await), (400, Some(MISSING.into())));
}

/// The emulator uses names as file names.
pub async fn a_name_with_a_path_is_refused(target: &Target) {
    for name in ["../../up", "a/b", "table.json"] {
        let database = DatabaseInput::builder().name(name).build().unwrap();
        let create = target.glue.create_database().database_input(database).send().await;
        assert_eq!(refusal!(create), (400, Some(INVALID.into())), "{name}");
        let get = target.glue.get_table().database_name(&target.database).name(name).send().await;
        assert_eq!(refusal!(get), (400, Some(INVALID.into())), "{name}");
    }
}

pub async fn there_are_no_functions(target: &Target) {
    let list = target.glue.get_user_defined_functions().database_name(&target.database).pattern("*");
    assert_eq!(list.send().await.unwrap().user_defined_functions().len(), 0);
}
