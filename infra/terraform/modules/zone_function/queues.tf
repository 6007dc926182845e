locals {
  # AWS advises six times the time-out plus the window: SQS must not deliver an event a second time while the function
  # processes it, or while it waits because Lambda throttles the function.
  visibility_timeout_seconds = 6 * var.timeout_seconds + var.batching_window_seconds

  day_seconds = 24 * 60 * 60

  queue_names       = { for queue in keys(var.queues) : queue => "${var.aws_name}-${queue}" }
  dead_letter_names = { for queue, name in local.queue_names : queue => "${name}-dead-letters" }

  # Topics send to a queue and to its dead-letter queue: SNS sends to the second what it cannot deliver to the first, for
  # instance because its policy or its key is wrong. Otherwise it would drop the event.
  queue_policies = merge([
    for queue, topic_arns in var.queues : {
      for name in [local.queue_names[queue], local.dead_letter_names[queue]] : name => jsonencode({
        Version = "2012-10-17"
        Statement = [
          {
            Sid       = "TopicsSend"
            Effect    = "Allow"
            Principal = { Service = "sns.amazonaws.com" }
            Action    = "sqs:SendMessage"
            Resource  = "${var.sqs_arn}:${name}"
            Condition = { ArnEquals = { "aws:SourceArn" = values(topic_arns) } }
          },
          {
            Sid       = "DenyWithoutTls"
            Effect    = "Deny"
            Principal = "*"
            Action    = "sqs:*"
            Resource  = "${var.sqs_arn}:${name}"
            Condition = { Bool = { "aws:SecureTransport" = "false" } }
          },
        ]
      })
    }
  ]...)

  # By the topic's name: a topic triggers the function through one queue only.
  subscriptions = merge([
    for queue, topic_arns in var.queues : {
      for topic, arn in topic_arns : topic => { queue = queue, topic_arn = arn }
    }
  ]...)
}

resource "aws_sqs_queue" "this" {
  for_each = local.queue_names

  name                       = each.value
  policy                     = local.queue_policies[each.value]
  visibility_timeout_seconds = local.visibility_timeout_seconds
  message_retention_seconds  = 4 * local.day_seconds
  receive_wait_time_seconds  = 20

  # Either SQS's own encryption or the customer's key; AWS refuses both.
  sqs_managed_sse_enabled = var.kms_key_arn == null ? true : null
  kms_master_key_id       = var.kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[each.key].arn
    maxReceiveCount     = var.receive_count_max
  })
}

# A message keeps the time when it was first sent, so the retention must be longer here than in the first queue.
resource "aws_sqs_queue" "dead_letters" {
  for_each = local.dead_letter_names

  name                      = each.value
  policy                    = local.queue_policies[each.value]
  message_retention_seconds = 14 * local.day_seconds

  sqs_managed_sse_enabled = var.kms_key_arn == null ? true : null
  kms_master_key_id       = var.kms_key_arn
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  for_each = aws_sqs_queue.dead_letters

  queue_url = each.value.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this[each.key].arn]
  })
}

resource "aws_sns_topic_subscription" "this" {
  for_each = local.subscriptions

  topic_arn = each.value.topic_arn
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.this[each.value.queue].arn
  # The body is S3's own event, not one wrapped by SNS.
  raw_message_delivery = true
  redrive_policy       = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letters[each.value.queue].arn })
}
