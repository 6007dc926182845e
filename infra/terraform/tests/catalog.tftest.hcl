# Settings, tables, saved queries, alarms and the dashboard.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages_dir = "tests/packages"
  hash_key     = "0000000000000000000000000000000000000000000000000000000000000000"
}

run "functions_have_their_settings" {
  variables {
    consent_policy  = "at-reading"
    pairs           = "same-customer"
    customer_shards = 4
    slices_per_hour = 60
    rust_log        = "debug"
  }

  assert {
    condition = alltrue([
      for function in module.zone_function : nonsensitive(function.environment) == tomap({
        LAKE_BUCKET     = "stedi-lake-123456789012"
        HASH_KEY        = "0000000000000000000000000000000000000000000000000000000000000000"
        CONSENT_POLICY  = "at-reading"
        PAIRS           = "same-customer"
        CUSTOMER_SHARDS = "4"
        SLICES_PER_HOUR = "60"
        GLUE_DATABASE   = "stedi"
        RUST_LOG        = "debug"
      })
    ])
    error_message = "Each function has all settings."
  }

  assert {
    condition     = toset(nonsensitive(keys(local.settings))) == toset(local.topology.settings)
    error_message = "Each setting that the code reads has a value, and no other has one."
  }
}

run "packaging_command_names_the_architecture" {
  command = plan

  assert {
    condition     = local.packaging_command == "infra/package --arm64"
    error_message = "The command makes packages for the deployed architecture."
  }
}

run "athena_has_the_tables" {
  assert {
    condition     = length(aws_glue_catalog_table.this) == 9
    error_message = "The catalog has eight tables and the receipts."
  }

  assert {
    condition = alltrue([
      for name, table in local.tables :
      [for column in aws_glue_catalog_table.this[name].storage_descriptor[0].columns : [column.name, column.type]]
      == [for column in table.columns : [column.name, column.type]]
    ])
    error_message = "Tables have the columns of the code, in the same order."
  }

  assert {
    condition = alltrue([
      for name, table in aws_glue_catalog_table.this :
      table.partition_keys[*].name == (try(local.topology.functions[name].registers_partitions, false) ? ["dt", "hour"] : [])
    ])
    error_message = "Tables whose partitions are registered are partitioned by dt and hour; the others are not partitioned."
  }

  assert {
    condition = alltrue([
      for name, table in aws_glue_catalog_table.this : table.storage_descriptor[0].ser_de_info[0].serialization_library == (
        endswith(name, "_landing") || name == "receipts"
        ? "org.openx.data.jsonserde.JsonSerDe"
        : "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
      )
    ])
    error_message = "Landing files and receipts are JSON, all other tables are Parquet."
  }

  assert {
    condition = alltrue([
      for name, table in local.tables :
      aws_glue_catalog_table.this[name].storage_descriptor[0].location == "s3://stedi-lake-123456789012/${table.prefix}"
    ])
    error_message = "Tables have the locations where the functions write."
  }

  assert {
    condition     = toset(keys(aws_athena_named_query.this)) == toset(["row_counts", "consent_check", "training_sample", "landing_file_row_counts"])
    error_message = "The workgroup has four saved queries."
  }

  assert {
    condition     = alltrue([for query in aws_athena_named_query.this : length(query.description) > 20 && !startswith(query.description, "-")])
    error_message = "The first line of each query describes it."
  }

  assert {
    condition = (
      aws_athena_workgroup.lake.configuration[0].enforce_workgroup_configuration
      && aws_athena_workgroup.lake.configuration[0].bytes_scanned_cutoff_per_query == 10737418240
      && aws_athena_workgroup.lake.configuration[0].result_configuration[0].encryption_configuration[0].encryption_option == "SSE_S3"
    )
    error_message = "The workgroup limits queries and encrypts results, and clients cannot override that."
  }
}

run "alarms_cover_every_function_and_queue" {
  variables {
    alarm_email = "data@example.org"
  }

  assert {
    condition = toset([for alarm in aws_cloudwatch_metric_alarm.service : alarm.alarm_name]) == toset(flatten([
      [for pair in setproduct(keys(local.topology.functions), ["errors", "throttles"]) : "stedi-${pair[0]}-${pair[1]}"],
      [
        for name, function in module.zone_function : [
          for pair in setproduct(keys(function.queues), ["dead-letters", "message-age"]) : "stedi-${name}-${pair[0]}-${pair[1]}"
        ]
      ],
    ]))
    error_message = "Each function has two alarms, and so has each of its queues."
  }

  assert {
    condition = toset([for alarm in aws_cloudwatch_metric_alarm.quarantine : alarm.alarm_name]) == toset([
      "stedi-customer_trusted-quarantine", "stedi-accelerometer_trusted-quarantine", "stedi-step_trainer_trusted-quarantine",
    ])
    error_message = "Each function that reads landing files has an alarm on rejected rows."
  }

  assert {
    condition = alltrue([
      for name, function in module.zone_function : alltrue(concat(
        [
          for kind in ["errors", "throttles"] :
          aws_cloudwatch_metric_alarm.service["${name}/${kind}"].dimensions == tomap({ FunctionName = function.function_name })
        ],
        flatten([
          for queue, about in function.queues : [
            aws_cloudwatch_metric_alarm.service["${name}-${queue}/dead-letters"].dimensions == tomap({ QueueName = about.dead_letter_queue_name }),
            aws_cloudwatch_metric_alarm.service["${name}-${queue}/message-age"].dimensions == tomap({ QueueName = about.name }),
          ]
        ]),
      ))
    ])
    error_message = "Each alarm watches its own function or queue."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.service) + length(aws_cloudwatch_metric_alarm.quarantine) == 27
    error_message = "infra/README.md counts the alarms, since each costs money."
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.service), values(aws_cloudwatch_metric_alarm.quarantine)) :
      alarm.alarm_actions == toset([aws_sns_topic.alarms.arn])
    ])
    error_message = "Every alarm sends to the topic of alarms."
  }

  assert {
    condition     = aws_sns_topic_subscription.alarm_email[0].endpoint == "data@example.org"
    error_message = "The address is subscribed."
  }

  assert {
    condition = alltrue([
      for metric in flatten([for alarm in aws_cloudwatch_metric_alarm.quarantine : [for query in alarm.metric_query : query.metric]]) :
      metric.namespace == local.topology.metrics.namespace && contains(keys(local.topology.metrics.names), metric.metric_name)
    ])
    error_message = "The functions write every metric of the alarms."
  }

  assert {
    condition = alltrue(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.lake.dashboard_body).widgets : [
        for series in widget.properties.metrics : contains(keys(local.topology.metrics.names), series[1]) if try(series[0] == local.topology.metrics.namespace, false)
      ]
    ]))
    error_message = "The functions write every metric of the dashboard."
  }

  assert {
    condition = toset(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.lake.dashboard_body).widgets : [
        for series in widget.properties.metrics : series[3] if try(series[0] == "AWS/SQS", false)
      ]
      ])) == toset(flatten([
      for function in module.zone_function : [for queue in function.queues : [queue.name, queue.dead_letter_queue_name]]
    ]))
    error_message = "The dashboard shows every queue and every dead-letter queue."
  }
}
