locals {
  # A prefix matches everything below it, a whole key only itself.
  patterns = { for what, names in var.access : what => [for name in names : endswith(name, "/") ? "${name}*" : name] }

  landing_bucket_arns = length(var.access.landing) == 0 ? [] : var.landing_bucket_arns

  # For a missing object, S3 answers 404 only to a role that may list the bucket, and 403 to others. The functions must
  # distinguish the two. AWS does not document which s3:prefix that check uses: none, or the object's key. The condition
  # below allows both, so a function may list what it may read.
  # The price of IfExists: a list WITHOUT a prefix is allowed, too. It shows names of objects, never their contents. S3
  # refuses a list with any other prefix.
  listable = {
    for arn in distinct(concat([var.lake_bucket_arn], local.landing_bucket_arns)) : arn => distinct(concat(
      arn == var.lake_bucket_arn ? concat(local.patterns.reads, local.patterns.lists) : [],
      contains(local.landing_bucket_arns, arn) ? local.patterns.landing : [],
    ))
  }

  # The policy below leaves out statements that name no resource.
  statements = concat(
    [
      {
        Sid    = "ReadObjects"
        Action = ["s3:GetObject"]
        Resource = concat(
          [for pattern in local.patterns.reads : "${var.lake_bucket_arn}/${pattern}"],
          [for pair in setproduct(local.landing_bucket_arns, local.patterns.landing) : "${pair[0]}/${pair[1]}"],
        )
      },
      {
        Sid      = "WriteObjects"
        Action   = ["s3:PutObject"]
        Resource = [for pattern in local.patterns.writes : "${var.lake_bucket_arn}/${pattern}"]
      },
      {
        # Work items that are done.
        Sid      = "DeleteObjects"
        Action   = ["s3:DeleteObject"]
        Resource = [for pattern in local.patterns.deletes : "${var.lake_bucket_arn}/${pattern}"]
      },
    ],
    [
      for index, arn in keys(local.listable) : {
        Sid       = "ListObjects${index}"
        Action    = ["s3:ListBucket"]
        Resource  = [arn]
        Condition = { StringLikeIfExists = { "s3:prefix" = local.listable[arn] } }
      }
    ],
    [
      {
        Sid      = "RegisterPartitions"
        Action   = ["glue:BatchCreatePartition"]
        Resource = var.partition_arns
      },
      {
        Sid      = "TakeEvents"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
        Resource = values(aws_sqs_queue.this)[*].arn
      },
      {
        Sid      = "WriteLogs"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.this.arn}:log-stream:*"]
      },
      {
        # X-Ray has no resources: AWS accepts only *.
        Sid      = "WriteTraces"
        Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
        Resource = ["*"]
      },
      {
        Sid      = "UseKey"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn == null ? [] : [var.kms_key_arn]
      },
      {
        Sid      = "ReadLandingKeys"
        Action   = ["kms:Decrypt"]
        Resource = length(var.access.landing) == 0 ? [] : var.landing_kms_key_arns
      },
    ],
  )

  policy = {
    Version   = "2012-10-17"
    Statement = [for statement in local.statements : merge(statement, { Effect = "Allow" }) if length(statement.Resource) > 0]
  }
}

resource "aws_iam_role" "this" {
  name                 = var.aws_name
  description          = "Permissions of the function ${var.aws_name}"
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name   = "access"
  role   = aws_iam_role.this.id
  policy = jsonencode(local.policy)
}
