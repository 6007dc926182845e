locals {
  # AWS advises six times the time-out plus the window: SQS must not deliver an event a second time while the function
  # processes it, or while it waits because Lambda throttles the function.
  visibility_timeout_seconds = 6 * var.timeout_seconds + var.batching_window_seconds

  day_seconds = 24 * 60 * 60

  queue_names = { queue = var.aws_name, dead_letters = "${var.aws_name}-dead-letters" }
  queue_arns  = { for key, name in local.queue_names : key => "${var.sqs_arn}:${name}" }

  # Topics send to both queues: SNS sends to the second what it cannot deliver to the first, for instance because its policy
  # or its key is wrong. Otherwise it would drop the event.
  queue_policies = {
    for key, arn in local.queue_arns : key => jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "TopicsSend"
          Effect    = "Allow"
          Principal = { Service = "sns.amazonaws.com" }
          Action    = "sqs:SendMessage"
          Resource  = arn
          Condition = { ArnEquals = { "aws:SourceArn" = values(var.topic_arns) } }
        },
        {
          Sid       = "DenyWithoutTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = arn
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ]
    })
  }
}

resource "aws_sqs_queue" "this" {
  name                       = local.queue_names.queue
  policy                     = local.queue_policies.queue
  visibility_timeout_seconds = local.visibility_timeout_seconds
  message_retention_seconds  = 4 * local.day_seconds
  receive_wait_time_seconds  = 20

  # Either SQS's own encryption or the customer's key; AWS refuses both.
  sqs_managed_sse_enabled = var.kms_key_arn == null ? true : null
  kms_master_key_id       = var.kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.receive_count_max
  })
}

# A message keeps the time when it was first sent, so the retention must be longer here than in the first queue.
resource "aws_sqs_queue" "dead_letters" {
  name                      = local.queue_names.dead_letters
  policy                    = local.queue_policies.dead_letters
  message_retention_seconds = 14 * local.day_seconds

  sqs_managed_sse_enabled = var.kms_key_arn == null ? true : null
  kms_master_key_id       = var.kms_key_arn
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this.arn]
  })
}

resource "aws_sns_topic_subscription" "this" {
  for_each = var.topic_arns

  topic_arn = each.value
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.this.arn
  # The body is S3's own event, not one wrapped by SNS.
  raw_message_delivery = true
  redrive_policy       = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letters.arn })
}
