# Compares the way of events, bucket -> topic -> queue -> function, with topology.json.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages_dir = "tests/packages"
  hash_key     = "0000000000000000000000000000000000000000000000000000000000000000"
}

# Mocked topics all have the same ARN. These overrides distinguish them.
override_resource {
  target = aws_sns_topic.trigger["customer-landing"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:customer-landing" }
}
override_resource {
  target = aws_sns_topic.trigger["accelerometer-landing"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:accelerometer-landing" }
}
override_resource {
  target = aws_sns_topic.trigger["step-trainer-landing"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:step-trainer-landing" }
}
override_resource {
  target = aws_sns_topic.trigger["customer-trusted"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:customer-trusted" }
}
override_resource {
  target = aws_sns_topic.trigger["lookup-readings"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:lookup-readings" }
}
override_resource {
  target = aws_sns_topic.trigger["accelerometer-trusted"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:accelerometer-trusted" }
}
override_resource {
  target = aws_sns_topic.trigger["lookup-devices"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:lookup-devices" }
}
override_resource {
  target = aws_sns_topic.trigger["step-trainer-trusted"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:step-trainer-trusted" }
}
override_resource {
  target = aws_sns_topic.trigger["state-work-accelerometer-trusted"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:state-work-accelerometer-trusted" }
}
override_resource {
  target = aws_sns_topic.trigger["state-work-step-trainer-trusted"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:state-work-step-trainer-trusted" }
}

run "events_reach_the_functions" {
  assert {
    condition     = length(local.topology.triggers) == 10 && length(aws_sns_topic.trigger) == 10
    error_message = "Each of the ten triggers has a topic."
  }

  assert {
    condition = {
      for topic in aws_s3_bucket_notification.lake.topic : topic.filter_prefix => [topic.topic_arn, topic.events]
      } == {
      for trigger in local.topology.triggers :
      trigger.prefix => ["arn:aws:sns:eu-central-1:123456789012:${trigger.name}", toset(["s3:ObjectCreated:*"])]
    }
    error_message = "The lake's bucket sends events of each prefix's new objects to that prefix's topic."
  }

  assert {
    condition = alltrue([
      for name, function in local.topology.functions : {
        for queue, about in module.zone_function[name].queues : queue => toset(about.subscribed_topic_arns)
        } == {
        for queue, inputs in {
          landing = function.landing
          changes = setsubtract(function.inputs, function.landing)
          } : queue => toset([
            for trigger in local.topology.triggers : "arn:aws:sns:eu-central-1:123456789012:${trigger.name}" if contains(inputs, trigger.prefix)
        ]) if length(inputs) > 0
      }
    ])
    error_message = "A queue is subscribed to the topics of a function's landing files, another to those of its other inputs, and to no other."
  }

  assert {
    condition = { for name, function in module.zone_function : name => keys(function.queues) } == {
      customer_trusted         = ["landing"]
      accelerometer_trusted    = ["changes", "landing"]
      customer_curated         = ["changes"]
      step_trainer_trusted     = ["changes", "landing"]
      machine_learning_curated = ["changes"]
    }
    error_message = "Functions of readings have two queues. The other functions have one, because all their inputs are of one kind."
  }

  assert {
    condition = alltrue([
      for name, function in module.zone_function :
      keys(function.event_sources) == keys(function.queues)
      && alltrue([for queue, about in function.queues : about.name == "stedi-${name}-${queue}" && about.dead_letter_queue_name == "stedi-${name}-${queue}-dead-letters"])
    ])
    error_message = "Each queue has an event source and a dead-letter queue of its own."
  }

  assert {
    condition = alltrue(flatten([
      for function in module.zone_function : [
        for queue in function.queues : [
          for name, policy in { (queue.name) = queue.policy, (queue.dead_letter_queue_name) = queue.dead_letter_queue_policy } : [
            for statement in jsondecode(policy).Statement : statement.Resource == "arn:aws:sqs:eu-central-1:123456789012:${name}" && (
              statement.Effect == "Deny"
              ? statement.Condition == { Bool = { "aws:SecureTransport" = "false" } }
              : statement.Principal == { Service = "sns.amazonaws.com" } && statement.Action == "sqs:SendMessage"
              && toset(statement.Condition.ArnEquals["aws:SourceArn"]) == toset(queue.subscribed_topic_arns)
            )
          ]
        ]
      ]
    ]))
    error_message = "Only the topics to which a queue is subscribed may send to it and to its dead-letter queue, and over TLS only."
  }

  assert {
    condition = alltrue(flatten([
      for policy in aws_sns_topic_policy.trigger : [
        for statement in jsondecode(policy.policy).Statement : (
          statement.Effect == "Deny"
          ? statement.Condition == { Bool = { "aws:SecureTransport" = "false" } }
          : statement.Principal == { Service = "s3.amazonaws.com" } && statement.Action == "sns:Publish" && statement.Condition == {
            ArnEquals                        = { "aws:SourceArn" = ["arn:aws:s3:::stedi-lake-123456789012"] }
            StringEquals                     = { "aws:SourceAccount" = "123456789012" }
          }
        )
      ]
    ]))
    error_message = "Only the lake's bucket in this AWS account may publish, and over TLS only."
  }
}

run "failed_events_go_to_the_dead_letter_queue" {
  variables {
    timeout_seconds         = 50
    batching_window_seconds = 7
    batch_size              = 20
    maximum_concurrency     = 3
    receive_count_max       = 6
  }

  assert {
    condition = alltrue(flatten([
      for function in module.zone_function : [for queue in function.queues : queue.visibility_timeout_seconds >= 6 * 50 + 7 && function.timeout_seconds == 50]
    ]))
    error_message = "A message stays hidden for six times the time-out plus the batching window."
  }

  assert {
    condition = alltrue(flatten([
      for function in module.zone_function : [
        for queue in function.queues : jsondecode(queue.redrive_policy) == { deadLetterTargetArn = queue.dead_letter_queue_arn, maxReceiveCount = 6 }
      ]
    ]))
    error_message = "After receive_count_max attempts, a message goes to its queue's dead-letter queue."
  }

  assert {
    condition = alltrue(flatten([
      for function in module.zone_function : [
        for source in function.event_sources : source == {
          batch_size              = 20
          batching_window_seconds = 7
          maximum_concurrency     = 3
          response_types          = toset(["ReportBatchItemFailures"])
        }
      ]
    ]))
    error_message = "Event sources have these limits, and functions report which messages of a batch failed."
  }
}
