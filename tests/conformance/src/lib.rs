//! The behavior of S3 and Glue that the lake relies on, tested with the real SDKs.
//!
//! One suite runs on every implementation: the emulator in process and over HTTP, and any endpoint that
//! `CONFORMANCE_ENDPOINT_URL` names (`tests/*.rs`). Each module has one theme. The modules `strict`, `strict_glue`,
//! `strict_multipart` and `checksums` test what AWS and this emulator do, but other emulators need not do.
//!
//! The emulator must not be more forgiving than AWS: a test that passes here and fails there is worthless.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]
#![allow(clippy::missing_panics_doc, missing_docs, reason = "each function is a test, and its name describes it")]

pub mod checksums;
pub mod conditions;
pub mod copies;
pub mod glue;
pub mod keys;
pub mod lists;
pub mod multipart;
pub mod objects;
pub mod strict;
pub mod strict_glue;
pub mod strict_multipart;
mod target;

pub use target::Target;

/// Makes a test of every behavior. `$open` is an async function that returns `Option<Target>`. `None` means that there
/// is nothing to test; the function has printed why.
#[macro_export]
macro_rules! suite {
    ($open:path) => {
        $crate::suite! { @ $open, conditions:
            one_of_many_if_match_writers_wins,
            one_of_many_if_none_match_writers_wins,
            a_stale_if_match_is_412,
            an_if_match_on_a_missing_key_is_404,
            an_if_none_match_on_an_existing_key_is_412,
            a_get_of_a_known_version_is_304,
            a_head_of_a_known_version_is_304,
            a_get_of_another_version_is_412,
        }
        $crate::suite! { @ $open, objects:
            a_put_is_read_back_with_its_headers,
            an_empty_object_is_an_object,
            a_large_body_is_read_back,
            a_streamed_body_is_read_back,
            ranges_are_parts_of_the_body,
            a_range_beyond_the_end_is_416,
            a_missing_key_is_no_such_key,
            a_head_of_a_missing_key_is_not_found,
            a_missing_bucket_is_no_such_bucket,
            a_deleted_object_is_missing,
            many_objects_are_deleted_at_once,
            buckets_are_listed,
            an_empty_bucket_is_deleted,
            tags_are_kept_with_an_object,
        }
        $crate::suite! { @ $open, multipart:
            parts_become_one_object,
            a_repeated_part_replaces_the_first,
            a_missing_part_is_refused,
            a_small_part_before_the_last_is_refused,
        }
        $crate::suite! { @ $open, copies:
            a_copy_has_bytes_and_headers,
            a_copy_may_have_other_headers,
            a_copy_onto_itself_must_change_something,
            a_copy_of_a_missing_key_is_no_such_key,
        }
        $crate::suite! { @ $open, lists:
            pages_follow_each_other,
            an_entry_equals_a_head,
            a_delimiter_rolls_up,
            a_common_prefix_is_on_one_page,
            start_after_is_exclusive,
            nothing_below_a_prefix_is_an_empty_list,
            an_object_has_one_version,
        }
        $crate::suite! { @ $open, keys:
            unusual_keys_are_stored_read_and_listed,
            a_key_and_keys_below_it_are_objects,
            keys_are_listed_in_byte_order,
        }
        $crate::suite! { @ $open, glue:
            a_table_is_returned_as_it_was_created,
            missing_entities_are_entity_not_found,
            existing_entities_are_already_exists,
            an_update_replaces_the_table,
            tables_are_listed,
            a_batch_names_each_partition_that_exists,
            a_batch_deletes_and_names_each_partition_that_is_missing,
            all_partitions_are_listed_once,
            partitions_are_chosen_by_an_expression,
            a_database_is_listed_changed_and_deleted,
            a_recreated_table_has_no_partitions,
            a_partition_is_replaced,
            partitions_are_read_in_a_batch,
        }
    };
    (strict $open:path) => {
        $crate::suite! { @ $open, strict_multipart:
            parts_and_uploads_are_listed,
            an_aborted_upload_is_deleted,
            a_repeated_completion_has_the_same_answer,
            a_completion_is_conditional,
            parts_must_be_in_order,
            a_part_number_is_1_to_10000,
            a_part_of_an_object_is_read_by_its_number,
            an_upload_has_a_checksum,
            a_part_is_copied_from_a_range,
            an_upload_without_parts_is_refused,
        }
        $crate::suite! { @ $open, checksums:
            a_checksum_is_kept_and_returned,
            a_trailing_checksum_is_kept,
            two_checksums_are_refused,
        }
        $crate::suite! { @ $open, strict:
            reads_are_conditional_on_a_time,
            the_first_version_lists_by_marker,
            hostile_keys_are_stored_read_and_listed,
            an_empty_object_has_no_ranges,
            a_wrong_checksum_is_refused,
            a_copy_is_conditional_on_its_source,
            an_unknown_s3_operation_is_refused,
            an_unknown_s3_parameter_is_refused,
            an_unknown_glue_operation_is_refused_by_name,
            an_unknown_glue_parameter_is_refused_by_name,
            a_batch_of_more_than_100_partitions_is_refused,
            a_partition_with_too_few_values_is_refused,
            partitions_are_paged,
        }
        $crate::suite! { @ $open, strict_glue:
            an_invalid_expression_is_refused,
            segments_cover_a_table_once,
            columns_of_partitions_are_left_out_on_demand,
            tables_are_listed_by_a_pattern,
            tables_are_deleted_in_a_batch,
            a_database_is_deleted_with_its_tables,
            a_batch_of_updates_names_each_partition_that_is_missing,
            the_current_version_of_a_table_is_returned,
            a_name_with_a_path_is_refused,
            there_are_no_functions,
        }
    };
    (@ $open:path, $module:ident: $($behavior:ident,)*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behavior() {
                    if let Some(target) = $open().await {
                        $crate::$module::$behavior(&target).await;
                    }
                }
            )*
        }
    };
}
