# The owner of a customer managed key makes and keeps it, since it must outlive the lake. AWS services use the key on their
# own behalf, and no role here can permit that. So the owner adds these statements to the key's policy.
locals {
  kms_services = {
    "s3.amazonaws.com"         = "S3PublishesToTopics"
    "sns.amazonaws.com"        = "TopicsSendToQueues"
    "cloudwatch.amazonaws.com" = "AlarmsPublishToTheirTopic"
  }

  kms_key_policy_statements = concat(
    [
      for service, sid in local.kms_services : {
        Sid       = sid
        Effect    = "Allow"
        Principal = { Service = service }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*" # in a key's policy, * means this key
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      }
    ],
    [
      {
        Sid       = "LogsEncrypt"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:/aws/lambda/${var.name}-*"
          }
        }
      },
    ],
  )
}
