# Wrong values are refused before the plan.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages_dir = "tests/packages"
  hash_key     = "0000000000000000000000000000000000000000000000000000000000000000"
}

run "wrong_names" {
  command = plan

  variables {
    name                     = "Stedi_Lake"
    region                   = "Frankfurt"
    endpoint_url             = "127.0.0.1:5000"
    lake_bucket_name         = "s3://lake"
    access_log_bucket        = "s3://logs/lake"
    glue_database            = "stedi-lake"
    kms_key_arn              = "alias/lake"
    permissions_boundary_arn = "boundary"
    alarm_email              = "data-team"
    rust_log                 = "info; rm"
    hash_key                 = "0123"
  }

  expect_failures = [
    var.name, var.region, var.endpoint_url, var.lake_bucket_name, var.access_log_bucket, var.glue_database,
    var.kms_key_arn, var.permissions_boundary_arn, var.alarm_email, var.rust_log, var.hash_key,
  ]
}

run "unknown_values" {
  command = plan

  variables {
    consent_policy     = "never"
    pairs              = "all"
    slices_per_hour    = 7
    architecture       = "arm"
    log_retention_days = 42
    landing_buckets    = [{ name = "uploads" }, { name = "uploads" }]
  }

  expect_failures = [
    var.consent_policy, var.pairs, var.slices_per_hour, var.architecture, var.log_retention_days, var.landing_buckets,
  ]
}

run "numbers_too_small" {
  command = plan

  variables {
    quarantine_expiry_days     = 0
    noncurrent_expiry_days     = 0
    athena_results_expiry_days = 0
    customer_shards            = 0
    slices_per_hour            = 0
    memory_mb                  = 64
    timeout_seconds            = 0
    batching_window_seconds    = -1
    maximum_concurrency        = 1
    receive_count_max          = 0
    athena_bytes_scanned_max   = 1
    alarm_message_age_seconds  = 1
    alarm_quarantine_percent   = -1
  }

  expect_failures = [
    var.quarantine_expiry_days, var.noncurrent_expiry_days, var.athena_results_expiry_days, var.customer_shards,
    var.slices_per_hour, var.memory_mb, var.timeout_seconds, var.batching_window_seconds, var.maximum_concurrency, var.receive_count_max,
    var.athena_bytes_scanned_max, var.alarm_message_age_seconds, var.alarm_quarantine_percent,
  ]
}

run "numbers_too_large" {
  command = plan

  variables {
    customer_shards          = 1025
    slices_per_hour          = 7200
    memory_mb                = 10241
    timeout_seconds          = 901
    batching_window_seconds  = 301
    maximum_concurrency      = 1001
    receive_count_max        = 1001
    alarm_quarantine_percent = 100
  }

  expect_failures = [
    var.customer_shards, var.slices_per_hour, var.memory_mb, var.timeout_seconds, var.batching_window_seconds,
    var.maximum_concurrency, var.receive_count_max, var.alarm_quarantine_percent,
  ]
}

run "part_of_a_slice" {
  command = plan

  variables {
    slices_per_hour = 1.5
  }

  expect_failures = [var.slices_per_hour]
}

run "empty_batch" {
  command = plan

  variables {
    batch_size = 0
  }

  expect_failures = [var.batch_size]
}

run "too_large_batch" {
  command = plan

  variables {
    batch_size = 10001
  }

  expect_failures = [var.batch_size]
}

run "large_batch_without_window" {
  command = plan

  variables {
    batch_size              = 11
    batching_window_seconds = 0
  }

  expect_failures = [var.batch_size]
}
