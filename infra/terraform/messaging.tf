# S3 allows one notification configuration per bucket, and no prefix in two of its rules. So each trigger's prefix has one
# topic. Of each function that it triggers, the queue for this kind of trigger subscribes to that topic (locals.tf,
# modules/zone_function/queues.tf).

locals {
  # The buckets that send to each topic.
  trigger_bucket_arns = {
    for name, trigger in local.triggers : name => trigger.landing ? local.landing_bucket_arns : [local.lake_bucket_arn]
  }
  lake_triggers = {
    for name, trigger in local.triggers : name => trigger if !trigger.landing || length(var.landing_buckets) == 0
  }
  landing_triggers = { for name, trigger in local.triggers : name => trigger if trigger.landing }
  created_events   = ["s3:ObjectCreated:*"]
}

resource "aws_sns_topic" "trigger" {
  #checkov:skip=CKV_AWS_26:Encrypted if kms_key_arn gives a key. The key that AWS manages for SNS does not let S3 publish, and a message holds names and sizes of objects only
  for_each = local.triggers

  name              = "${var.name}-${each.key}"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "trigger" {
  for_each = aws_sns_topic.trigger

  arn = each.value.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "BucketsPublish"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = each.value.arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = local.trigger_bucket_arns[each.key] }
          StringEquals = { "aws:SourceAccount" = local.account_id }
        }
      },
      {
        Sid       = "DenyWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = each.value.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# S3 sends a test message to each topic of a new configuration, so the topics' policies must be there before it. The queues
# must be there too: S3 sends events from then on, and a topic without a subscription drops them.
resource "aws_s3_bucket_notification" "lake" {
  bucket = aws_s3_bucket.this["lake"].id

  dynamic "topic" {
    for_each = local.lake_triggers

    content {
      id            = topic.key
      topic_arn     = aws_sns_topic.trigger[topic.key].arn
      events        = local.created_events
      filter_prefix = topic.value.prefix
    }
  }

  lifecycle {
    precondition {
      condition     = !contains(var.landing_buckets[*].name, local.lake_bucket_name)
      error_message = "landing_buckets names ${local.lake_bucket_name}, the lake's own bucket: leave it out, since files may arrive there without being listed. A bucket has one notification configuration, and two would replace each other."
    }
  }

  depends_on = [aws_sns_topic_policy.trigger, module.zone_function]
}

resource "aws_s3_bucket_notification" "landing" {
  for_each = { for bucket in var.landing_buckets : bucket.name => bucket if bucket.manage_notifications }

  bucket = each.key

  dynamic "topic" {
    for_each = local.landing_triggers

    content {
      id            = topic.key
      topic_arn     = aws_sns_topic.trigger[topic.key].arn
      events        = local.created_events
      filter_prefix = topic.value.prefix
    }
  }

  depends_on = [aws_sns_topic_policy.trigger, module.zone_function]
}
