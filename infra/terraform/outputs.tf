locals {
  consoles = {
    aws        = "${local.region}.console.aws.amazon.com"
    aws-cn     = "console.amazonaws.cn"
    aws-us-gov = "console.amazonaws-us-gov.com"
  }
  console = "https://${lookup(local.consoles, local.partition, local.consoles.aws)}"
}

output "lake_bucket" {
  description = "The bucket of the lake."
  value       = aws_s3_bucket.this["lake"].id
}

output "landing_bucket" {
  description = "The bucket where files arrive; of several, the one that the landing tables show."
  value       = local.landing_bucket_name
}

output "landing_notifications" {
  description = "What the owners of landing buckets must add to their notification configurations, by bucket, as `aws s3api put-bucket-notification-configuration` takes it."
  value = {
    for bucket in var.landing_buckets : bucket.name => {
      TopicConfigurations = [
        for name, trigger in local.landing_triggers : {
          Id       = name
          TopicArn = aws_sns_topic.trigger[name].arn
          Events   = local.created_events
          Filter   = { Key = { FilterRules = [{ Name = "prefix", Value = trigger.prefix }] } }
        }
      ]
    } if !bucket.manage_notifications
  }
}

output "upload_command" {
  description = "Uploads a folder that holds customer/landing, accelerometer/landing and step_trainer/landing."
  value = join(" ", concat(
    ["aws s3 sync FOLDER s3://${local.landing_bucket_name}/ --exclude '*'"],
    [for trigger in local.landing_triggers : "--include '${trigger.prefix}*'"],
  ))
}

output "glue_database" {
  description = "The database of the tables."
  value       = aws_glue_catalog_database.lake.name
}

output "workgroup" {
  description = "The Athena workgroup for queries on the lake."
  value       = aws_athena_workgroup.lake.name
}

output "named_queries" {
  description = "The ids of the saved queries, by the names of their files."
  value       = { for name, query in aws_athena_named_query.this : name => query.id }
}

output "functions" {
  description = "Each function with its log group and its queues (landing, changes), by its name in the code."
  value = {
    for name, function in module.zone_function : name => {
      function_name   = function.function_name
      arn             = function.arn
      role_arn        = function.role_arn
      timeout_seconds = function.timeout_seconds
      log_group       = function.log_group
      queues = {
        for queue, about in function.queues : queue => {
          url                        = about.url
          arn                        = about.arn
          dead_letter_queue_url      = about.dead_letter_queue_url
          dead_letter_queue_arn      = about.dead_letter_queue_arn
          visibility_timeout_seconds = about.visibility_timeout_seconds
          batch_size                 = function.event_sources[queue].batch_size
          batching_window_seconds    = function.event_sources[queue].batching_window_seconds
          maximum_concurrency        = function.event_sources[queue].maximum_concurrency
        }
      }
    }
  }
}

output "topic_arns" {
  description = "The topic of each trigger."
  value       = { for name, topic in aws_sns_topic.trigger : name => topic.arn }
}

output "alarm_topic_arn" {
  description = "The topic of the alarms: subscribe everyone who must receive them."
  value       = aws_sns_topic.alarms.arn
}

output "athena_console_url" {
  description = "Athena's query editor. Choose the workgroup there; it has the saved queries."
  value       = "${local.console}/athena/home?region=${local.region}#/query-editor"
}

output "dashboard_url" {
  description = "The CloudWatch dashboard of the lake."
  value       = "${local.console}/cloudwatch/home?region=${local.region}#dashboards/dashboard/${aws_cloudwatch_dashboard.lake.dashboard_name}"
}

output "kms_key_policy" {
  description = "The statements that the policy of kms_key_arn needs besides its owner's, as JSON."
  value       = jsonencode(local.kms_key_policy_statements)
}
