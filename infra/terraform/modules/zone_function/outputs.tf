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

output "queues" {
  description = "Its queues with their dead-letter queues, by name. Policies are JSON."
  value = {
    for name, queue in aws_sqs_queue.this : name => {
      name                       = queue.name
      url                        = queue.url
      arn                        = queue.arn
      policy                     = queue.policy
      redrive_policy             = queue.redrive_policy
      visibility_timeout_seconds = queue.visibility_timeout_seconds

      dead_letter_queue_name   = aws_sqs_queue.dead_letters[name].name
      dead_letter_queue_url    = aws_sqs_queue.dead_letters[name].url
      dead_letter_queue_arn    = aws_sqs_queue.dead_letters[name].arn
      dead_letter_queue_policy = aws_sqs_queue.dead_letters[name].policy

      subscribed_topic_arns = [
        for topic, subscription in aws_sns_topic_subscription.this : subscription.topic_arn if local.subscriptions[topic].queue == name
      ]
    }
  }
}

output "event_sources" {
  description = "How it receives events from each of its queues."
  value = {
    for name, mapping in aws_lambda_event_source_mapping.this : name => {
      batch_size              = mapping.batch_size
      batching_window_seconds = mapping.maximum_batching_window_in_seconds
      maximum_concurrency     = mapping.scaling_config[0].maximum_concurrency
      response_types          = mapping.function_response_types
    }
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
