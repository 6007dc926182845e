output "function_name" {
  description = "The function's name on AWS."
  value       = aws_lambda_function.this.function_name
}

output "arn" {
  description = "The function's ARN."
  value       = aws_lambda_function.this.arn
}

output "role_arn" {
  description = "The ARN of its role."
  value       = aws_iam_role.this.arn
}

output "policy" {
  description = "The permissions of its role, as JSON."
  value       = aws_iam_role_policy.this.policy
}

output "queue_name" {
  description = "The name of its queue."
  value       = aws_sqs_queue.this.name
}

output "queue_url" {
  description = "The URL of its queue."
  value       = aws_sqs_queue.this.url
}

output "queue_arn" {
  description = "The ARN of its queue."
  value       = aws_sqs_queue.this.arn
}

output "queue_policies" {
  description = "The policies of its queues, as JSON: queue and dead_letters."
  value       = { queue = aws_sqs_queue.this.policy, dead_letters = aws_sqs_queue.dead_letters.policy }
}

output "dead_letter_queue_name" {
  description = "The name of its dead-letter queue."
  value       = aws_sqs_queue.dead_letters.name
}

output "dead_letter_queue_url" {
  description = "The URL of its dead-letter queue."
  value       = aws_sqs_queue.dead_letters.url
}

output "dead_letter_queue_arn" {
  description = "The ARN of its dead-letter queue."
  value       = aws_sqs_queue.dead_letters.arn
}

output "redrive_policy" {
  description = "The redrive policy of its queue, as JSON."
  value       = aws_sqs_queue.this.redrive_policy
}

output "visibility_timeout_seconds" {
  description = "How long a message stays hidden while the function processes it."
  value       = aws_sqs_queue.this.visibility_timeout_seconds
}

output "subscribed_topic_arns" {
  description = "The topics its queue is subscribed to."
  value       = [for subscription in aws_sns_topic_subscription.this : subscription.topic_arn]
}

output "event_source" {
  description = "How it receives events from its queue."
  value = {
    batch_size              = aws_lambda_event_source_mapping.this.batch_size
    batching_window_seconds = aws_lambda_event_source_mapping.this.maximum_batching_window_in_seconds
    maximum_concurrency     = aws_lambda_event_source_mapping.this.scaling_config[0].maximum_concurrency
    response_types          = aws_lambda_event_source_mapping.this.function_response_types
  }
}

output "environment" {
  description = "Its environment variables."
  value       = aws_lambda_function.this.environment[0].variables
}

output "timeout_seconds" {
  description = "How long one invocation may take."
  value       = aws_lambda_function.this.timeout
}

output "log_group" {
  description = "The name of its log group."
  value       = aws_cloudwatch_log_group.this.name
}
