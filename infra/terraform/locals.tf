# The code writes topology.json and tables.json (REGENERATE=1 cargo test -p runtime --test generated), and a test compares
# them with it. So nothing here repeats which prefix triggers a function, what a function may do, or which columns a table has.
locals {
  topology = jsondecode(file("${path.module}/topology.json"))
  tables   = jsondecode(file("${path.module}/tables.json")).tables
  formats  = jsondecode(file("${path.module}/tables.json")).formats

  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id

  triggers = { for trigger in local.topology.triggers : trigger.name => trigger }

  # By the function's name in the code.
  functions = {
    for name, access in local.topology.functions : name => {
      access        = access
      function_name = "${var.name}-${name}"
      # The triggers of each of its queues. Landing files have a queue of their own, so that a bad file of readings cannot hold up a
      # withdrawal. The other one, changes, is for changes of the lake's own objects. A function has one queue if all its
      # triggers are of one kind.
      queues = {
        for trigger in local.topology.triggers : trigger.landing ? "landing" : "changes" => trigger.name...
        if contains(trigger.functions, name)
      }
    }
  }

  # All queues, as FUNCTION-landing and FUNCTION-changes.
  queues = merge([
    for name, function in local.functions : {
      for queue in keys(function.queues) : "${name}-${queue}" => module.zone_function[name].queues[queue]
    }
  ]...)

  lake_bucket_name = coalesce(var.lake_bucket_name, "${var.name}-lake-${local.account_id}")
  lake_bucket_arn  = "arn:${local.partition}:s3:::${local.lake_bucket_name}"

  # Files arrive in the lake's own bucket, or in landing_buckets if there are any.
  landing_bucket_arns = (
    length(var.landing_buckets) == 0
    ? [local.lake_bucket_arn]
    : [for bucket in var.landing_buckets : "arn:${local.partition}:s3:::${bucket.name}"]
  )
  landing_bucket_name = length(var.landing_buckets) == 0 ? local.lake_bucket_name : var.landing_buckets[0].name
  landing_kms_key_arns = distinct([
    for bucket in var.landing_buckets : bucket.kms_key_arn if bucket.kms_key_arn != null && bucket.kms_key_arn != var.kms_key_arn
  ])

  # One value for each setting of the functions. The plan fails if the code reads a setting that has no value here.
  settings = {
    LAKE_BUCKET     = local.lake_bucket_name
    HASH_KEY        = var.hash_key
    CONSENT_POLICY  = var.consent_policy
    PAIRS           = var.pairs
    SLICES_PER_HOUR = tostring(var.slices_per_hour)
    CUSTOMER_SHARDS = tostring(var.customer_shards)
    GLUE_DATABASE   = var.glue_database
    RUST_LOG        = var.rust_log
  }
  environment = { for name in local.topology.settings : name => local.settings[name] }

  # Makes the packages. Run it at the top of the repository.
  packaging_command = "infra/package ${var.architecture == "arm64" ? "--arm64" : "--x86-64"}"
}
