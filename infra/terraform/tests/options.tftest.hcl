# Options: a customer managed key, and existing landing buckets.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages_dir = "tests/packages"
  hash_key     = "0000000000000000000000000000000000000000000000000000000000000000"
}

run "customer_managed_key_encrypts_everything" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  }

  assert {
    condition = alltrue([
      for encryption in aws_s3_bucket_server_side_encryption_configuration.this : alltrue([
        for rule in encryption.rule : rule.bucket_key_enabled
        && rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms"
        && rule.apply_server_side_encryption_by_default[0].kms_master_key_id == var.kms_key_arn
      ])
    ])
    error_message = "Buckets are encrypted with the key and have a bucket key."
  }

  assert {
    condition     = alltrue([for topic in concat(values(aws_sns_topic.trigger), [aws_sns_topic.alarms]) : topic.kms_master_key_id == var.kms_key_arn])
    error_message = "Topics are encrypted with the key."
  }

  assert {
    condition = alltrue([
      for function in module.zone_function : [
        for statement in jsondecode(function.policy).Statement : [statement.Action, statement.Resource] if anytrue([for action in statement.Action : startswith(action, "kms:")])
      ] == [[["kms:Decrypt", "kms:GenerateDataKey"], [var.kms_key_arn]]]
    ])
    error_message = "Functions may use this key, and no other."
  }

  assert {
    condition     = aws_athena_workgroup.lake.configuration[0].result_configuration[0].encryption_configuration[0].kms_key_arn == var.kms_key_arn
    error_message = "Query results are encrypted with the key."
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(output.kms_key_policy) : values(statement.Principal)])) == toset([
      "s3.amazonaws.com", "sns.amazonaws.com", "cloudwatch.amazonaws.com", "logs.eu-central-1.amazonaws.com",
    ])
    error_message = "The output kms_key_policy names every service that uses the key."
  }
}

run "lake_bucket_among_landing_buckets_is_refused" {
  command = plan

  variables {
    lake_bucket_name = "example-lake"
    landing_buckets  = [{ name = "example-lake", manage_notifications = true }]
  }

  expect_failures = [aws_s3_bucket_notification.lake]
}

run "existing_landing_buckets_are_read_only" {
  variables {
    landing_buckets = [
      { name = "uploads", manage_notifications = true },
      { name = "partner-uploads", kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/99999999-2222-3333-4444-555555555555" },
    ]
  }

  assert {
    condition     = output.landing_bucket == "uploads" && keys(aws_s3_bucket.this) == ["lake", "queries"]
    error_message = "Terraform makes no bucket for landing files."
  }

  assert {
    condition     = keys(aws_s3_bucket_notification.landing) == ["uploads"] && length(aws_s3_bucket_notification.landing["uploads"].topic) == 3
    error_message = "Terraform makes notifications only for a bucket with manage_notifications."
  }

  assert {
    condition = (
      keys(output.landing_notifications) == ["partner-uploads"]
      && toset([for topic in output.landing_notifications["partner-uploads"].TopicConfigurations : topic.Filter.Key.FilterRules[0].Value])
      == toset(["customer/landing/", "accelerometer/landing/", "step_trainer/landing/"])
    )
    error_message = "The output landing_notifications has what the owner of the other bucket must configure."
  }

  assert {
    condition     = toset(aws_s3_bucket_notification.lake.topic[*].filter_prefix) == toset([for trigger in local.topology.triggers : trigger.prefix if !trigger.landing])
    error_message = "The lake's own bucket sends no events of landing prefixes."
  }

  assert {
    condition = alltrue([
      for trigger in local.topology.triggers : toset(jsondecode(aws_sns_topic_policy.trigger[trigger.name].policy).Statement[0].Condition.ArnEquals["aws:SourceArn"]) == (
        trigger.landing ? toset(["arn:aws:s3:::uploads", "arn:aws:s3:::partner-uploads"]) : toset(["arn:aws:s3:::stedi-lake-123456789012"])
      )
    ])
    error_message = "Landing buckets may publish only to topics of landing prefixes, and the lake's bucket only to the others."
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(module.zone_function["customer_trusted"].policy).Statement : [
        for resource in statement.Resource : resource if !startswith(resource, "arn:aws:s3:::stedi-lake-123456789012/")
      ] if contains(statement.Action, "s3:GetObject")
    ])) == toset(["arn:aws:s3:::uploads/customer/landing/*", "arn:aws:s3:::partner-uploads/customer/landing/*"])
    error_message = "A function may read its landing prefix in these buckets, and not in the lake's bucket."
  }

  assert {
    condition     = !strcontains(module.zone_function["machine_learning_curated"].policy, "uploads") && !strcontains(module.zone_function["machine_learning_curated"].policy, "kms:")
    error_message = "A function that reads no landing files has no permission on these buckets."
  }

  assert {
    condition = [
      for statement in jsondecode(module.zone_function["customer_trusted"].policy).Statement : [statement.Action, statement.Resource] if statement.Sid == "ReadLandingKeys"
    ] == [[["kms:Decrypt"], ["arn:aws:kms:eu-central-1:123456789012:key/99999999-2222-3333-4444-555555555555"]]]
    error_message = "A function may decrypt with a landing bucket's key, and not encrypt."
  }

  assert {
    condition = alltrue([
      for name, table in aws_glue_catalog_table.this :
      startswith(table.storage_descriptor[0].location, endswith(name, "_landing") ? "s3://uploads/" : "s3://stedi-lake-123456789012/")
    ])
    error_message = "The landing tables show the first landing bucket."
  }
}

run "missing_package_is_refused" {
  command = plan

  module {
    source = "./modules/zone_function"
  }

  variables {
    name                     = "customer_trusted"
    aws_name                 = "stedi-customer_trusted"
    package_path             = "nowhere/bootstrap.zip"
    packaging                = "make packages"
    architecture             = "arm64"
    environment              = {}
    memory_mb                = 128
    timeout_seconds          = 1
    sqs_arn                  = "arn:aws:sqs:eu-central-1:123456789012"
    queues                   = { landing = {} }
    batch_size               = 1
    batching_window_seconds  = 0
    maximum_concurrency      = 2
    receive_count_max        = 1
    event_source_enabled     = true
    access                   = { landing = [], reads = [], writes = [], lists = [], deletes = [] }
    lake_bucket_arn          = "arn:aws:s3:::lake"
    landing_bucket_arns      = []
    partition_arns           = []
    kms_key_arn              = null
    landing_kms_key_arns     = []
    permissions_boundary_arn = null
    log_retention_days       = 1
  }

  expect_failures = [aws_lambda_function.this]
}
