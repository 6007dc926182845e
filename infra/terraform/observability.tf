locals {
  metrics = local.topology.metrics

  # Only the functions of landing files count rows.
  row_counting_functions = { for name, function in local.functions : name => function if length(function.access.landing) > 0 }

  # Alarms on what AWS measures of each queue.
  queue_alarms = {
    dead-letters = {
      description = "Events failed ${var.receive_count_max} times. Fix the cause, then redrive the queue: infra/README.md, \"When an alarm rings\"."
      namespace   = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum"
      threshold   = 0, periods = 1, datapoints = 1
    }
    message-age = {
      description = "An event has waited longer than ${var.alarm_message_age_seconds} seconds: the function fails, is throttled, or is too slow."
      namespace   = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", statistic = "Maximum"
      threshold   = var.alarm_message_age_seconds, periods = 1, datapoints = 1
    }
  }

  # Alarms on what AWS measures of each function.
  function_alarms = {
    errors = {
      description = "Whole invocations fail: crash, time-out or wrong settings. See the function's log."
      namespace   = "AWS/Lambda", metric = "Errors", statistic = "Sum"
      threshold   = 0, periods = 3, datapoints = 2
    }
    throttles = {
      description = "Lambda has no instance left for this function: the AWS account has used up its concurrency."
      namespace   = "AWS/Lambda", metric = "Throttles", statistic = "Sum"
      threshold   = 0, periods = 3, datapoints = 2
    }
  }

  alarms = merge(concat(
    [
      for name, queue in local.queues : {
        for kind, alarm in local.queue_alarms : "${name}/${kind}" => merge(alarm, {
          name       = "${queue.name}-${kind}"
          dimensions = { QueueName = kind == "dead-letters" ? queue.dead_letter_queue_name : queue.name }
        })
      }
    ],
    [
      for name, function in local.functions : {
        for kind, alarm in local.function_alarms : "${name}/${kind}" => merge(alarm, {
          name       = "${function.function_name}-${kind}"
          dimensions = { FunctionName = module.zone_function[name].function_name }
        })
      }
    ],
  )...)
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:Encrypted if kms_key_arn gives a key. The key that AWS manages for SNS does not let CloudWatch publish, and an alarm holds names and numbers only
  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AlarmsPublish"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account_id }
          ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:cloudwatch:${local.region}:${local.account_id}:alarm:${var.name}-*" }
        }
      },
      {
        Sid       = "DenyWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "alarm_email" {
  count = var.alarm_email == null ? 0 : 1

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_cloudwatch_metric_alarm" "service" {
  for_each = local.alarms

  alarm_name          = each.value.name
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.datapoints
  # While no files arrive, there is nothing to measure.
  treat_missing_data = "notBreaching"
  alarm_actions      = [aws_sns_topic.alarms.arn]
  ok_actions         = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "quarantine" {
  for_each = local.row_counting_functions

  alarm_name          = "${each.value.function_name}-quarantine"
  alarm_description   = "More than ${var.alarm_quarantine_percent} % of the rows of an hour were rejected: see quarantine/ in the lake's bucket. A rejected record cannot withdraw consent."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarm_quarantine_percent
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "share"
    expression  = "IF(read > 0, 100 * quarantined / read, 0)"
    label       = "quarantined rows, percent"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { read = "rows_read", quarantined = "rows_quarantined" }

    content {
      id = metric_query.key

      metric {
        namespace   = local.metrics.namespace
        metric_name = metric_query.value
        dimensions  = { (local.metrics.dimension) = each.value.function_name }
        stat        = "Sum"
        period      = 3600
      }
    }
  }
}
