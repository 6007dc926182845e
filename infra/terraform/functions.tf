module "zone_function" {
  source   = "./modules/zone_function"
  for_each = local.functions

  name         = each.key
  aws_name     = each.value.function_name
  package_path = startswith(var.packages_dir, "/") ? "${var.packages_dir}/${each.key}/bootstrap.zip" : "${path.module}/${var.packages_dir}/${each.key}/bootstrap.zip"
  packaging    = local.packaging_command
  architecture = var.architecture
  environment  = local.environment

  memory_mb       = var.memory_mb
  timeout_seconds = var.timeout_seconds

  sqs_arn                 = "arn:${local.partition}:sqs:${local.region}:${local.account_id}"
  queues                  = { for queue, triggers in each.value.queues : queue => { for trigger in triggers : trigger => aws_sns_topic.trigger[trigger].arn } }
  batch_size              = var.batch_size
  batching_window_seconds = var.batching_window_seconds
  maximum_concurrency     = var.maximum_concurrency
  receive_count_max       = var.receive_count_max
  event_source_enabled    = var.event_sources_enabled

  access              = each.value.access
  lake_bucket_arn     = local.lake_bucket_arn
  landing_bucket_arns = local.landing_bucket_arns
  # AWS checks BatchCreatePartition on the catalog, the database and the table.
  partition_arns = each.value.access.registers_partitions ? [
    "${local.glue_arn}:catalog",
    "${local.glue_arn}:database/${aws_glue_catalog_database.lake.name}",
    "${local.glue_arn}:table/${aws_glue_catalog_database.lake.name}/${each.key}",
  ] : []
  kms_key_arn              = var.kms_key_arn
  landing_kms_key_arns     = local.landing_kms_key_arns
  permissions_boundary_arn = var.permissions_boundary_arn

  log_retention_days = var.log_retention_days
}
