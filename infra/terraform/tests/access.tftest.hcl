# Compares the functions' roles and the buckets' policies with topology.json.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages_dir = "tests/packages"
  hash_key     = "0000000000000000000000000000000000000000000000000000000000000000"
}

run "roles_have_the_permissions_of_the_topology" {
  assert {
    condition = alltrue([
      for name, function in local.topology.functions : toset(flatten([
        for statement in jsondecode(module.zone_function[name].policy).Statement : statement.Resource if contains(statement.Action, "s3:GetObject")
        ])) == toset([
        for key in concat(function.reads, function.landing) : "arn:aws:s3:::stedi-lake-123456789012/${key}${endswith(key, "/") ? "*" : ""}"
      ])
    ])
    error_message = "A function may read its own prefixes and landing files, and nothing else."
  }

  assert {
    condition = alltrue([
      for name, function in local.topology.functions : toset(flatten([
        for statement in jsondecode(module.zone_function[name].policy).Statement : statement.Resource if contains(statement.Action, "s3:PutObject")
        ])) == toset([
        for key in function.writes : "arn:aws:s3:::stedi-lake-123456789012/${key}${endswith(key, "/") ? "*" : ""}"
      ])
    ])
    error_message = "A function may write its own prefixes, and nothing else."
  }

  assert {
    condition = alltrue([
      for name, function in local.topology.functions : toset(flatten([
        for statement in jsondecode(module.zone_function[name].policy).Statement : statement.Resource if contains(statement.Action, "s3:DeleteObject")
        ])) == toset([
        for key in function.deletes : "arn:aws:s3:::stedi-lake-123456789012/${key}${endswith(key, "/") ? "*" : ""}"
      ])
    ])
    error_message = "A function may delete its own work items, and nothing else."
  }

  assert {
    condition = alltrue(flatten([
      for name, function in local.topology.functions : [for key in function.deletes : key == "_state/work/${name}/"]
    ]))
    error_message = "Only work items are deleted, each by the function that does the work."
  }

  assert {
    condition = alltrue(flatten([
      for name, function in local.topology.functions : [
        for statement in jsondecode(module.zone_function[name].policy).Statement : (
          statement.Resource == ["arn:aws:s3:::stedi-lake-123456789012"]
          && toset(statement.Condition.StringLikeIfExists["s3:prefix"]) == toset([
            for key in concat(function.reads, function.landing, function.lists) : "${key}${endswith(key, "/") ? "*" : ""}"
          ])
        ) if contains(statement.Action, "s3:ListBucket")
      ]
    ]))
    error_message = "A function may list the prefixes that it reads or lists, and no others."
  }

  assert {
    condition = alltrue([
      for name, function in local.topology.functions : join(" ", flatten([
        for statement in jsondecode(module.zone_function[name].policy).Statement : statement.Resource if anytrue([for action in statement.Action : startswith(action, "glue:")])
        ])) == join(" ", function.registers_partitions ? [
        "arn:aws:glue:eu-central-1:123456789012:catalog",
        "arn:aws:glue:eu-central-1:123456789012:database/stedi",
        "arn:aws:glue:eu-central-1:123456789012:table/stedi/${name}",
      ] : [])
    ])
    error_message = "A function may register partitions of its own table only."
  }

  assert {
    condition = alltrue([
      for name, function in module.zone_function : flatten([
        for statement in jsondecode(function.policy).Statement : statement.Resource if anytrue([for action in statement.Action : startswith(action, "sqs:")])
      ]) == [for queue in values(function.queues) : queue.arn]
    ])
    error_message = "A function may take events from its own queues only."
  }

  assert {
    condition = alltrue([
      for name, function in module.zone_function : toset(flatten(jsondecode(function.policy).Statement[*].Action)) == setunion(
        [
          "s3:GetObject", "s3:PutObject", "s3:ListBucket",
          "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility",
          "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
        ],
        local.topology.functions[name].registers_partitions ? ["glue:BatchCreatePartition"] : [],
        length(local.topology.functions[name].deletes) > 0 ? ["s3:DeleteObject"] : [],
      )
    ])
    error_message = "A role allows these actions and no others; none deletes a version."
  }

  assert {
    condition = alltrue(flatten([
      for function in module.zone_function : [
        for statement in jsondecode(function.policy).Statement :
        !contains(statement.Resource, "*") || alltrue([for action in statement.Action : startswith(action, "xray:")])
      ]
    ]))
    error_message = "Only the statement for X-Ray, which has no resources, has the resource *."
  }

  assert {
    condition     = alltrue(flatten([for function in module.zone_function : [for statement in jsondecode(function.policy).Statement : statement.Effect == "Allow"]]))
    error_message = "A role's policy only allows; the buckets' policies deny."
  }
}

run "buckets_are_closed" {
  assert {
    condition = one([
      for statement in jsondecode(aws_s3_bucket_policy.this["lake"].policy).Statement : statement if statement.Sid == "DenyUnconditionalWrites"
      ]) == {
      Sid       = "DenyUnconditionalWrites"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource  = [for key in local.topology.derived : "arn:aws:s3:::stedi-lake-123456789012/${key}${endswith(key, "/") ? "*" : ""}"]
      Condition = {
        Null = { "s3:if-match" = "true", "s3:if-none-match" = "true" }
        Bool = { "s3:ObjectCreationOperation" = "true" }
      }
    }
    error_message = "The prefixes that functions write accept conditional puts only."
  }

  assert {
    condition = alltrue(flatten([
      for function in local.topology.functions : [for key in function.writes : contains(local.topology.derived, key)]
    ]))
    error_message = "Everything that a function writes is protected in this way."
  }

  assert {
    condition = alltrue([
      for trigger in local.topology.triggers : !contains(local.topology.derived, trigger.prefix) if trigger.landing
    ])
    error_message = "Landing prefixes accept puts without conditions."
  }

  assert {
    condition = alltrue([
      for policy in aws_s3_bucket_policy.this : length([
        for statement in jsondecode(policy.policy).Statement : statement
        if statement.Effect == "Deny" && statement.Action == "s3:*" && statement.Condition == { Bool = { "aws:SecureTransport" = "false" } }
      ]) == 1
    ])
    error_message = "Each bucket refuses requests without TLS."
  }

  assert {
    condition = alltrue([
      for key, block in aws_s3_bucket_public_access_block.this :
      block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ]) && length(aws_s3_bucket_public_access_block.this) == 2
    error_message = "No bucket is public."
  }

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket.this : !bucket.force_destroy])
    error_message = "A bucket that holds objects is not deleted unless force_destroy says so."
  }

  assert {
    condition = alltrue([
      for encryption in aws_s3_bucket_server_side_encryption_configuration.this :
      alltrue([for rule in encryption.rule : rule.apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"])
    ])
    error_message = "Without kms_key_arn, buckets are encrypted with SSE-S3."
  }

  assert {
    condition = anytrue([
      for rule in aws_s3_bucket_lifecycle_configuration.this["lake"].rule :
      rule.status == "Enabled" && try(rule.filter[0].prefix, "") == "quarantine/" && try(rule.expiration[0].days, 0) == 90
    ])
    error_message = "The quarantine expires."
  }

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_lifecycle_configuration.this["lake"].rule :
      try(rule.expiration[0].days, 0) == 0 || try(rule.filter[0].prefix, "") == "quarantine/"
    ])
    error_message = "Nothing else in the lake expires."
  }
}
