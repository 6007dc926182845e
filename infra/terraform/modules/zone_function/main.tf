resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own, or with kms_key_arn if that is given
  #checkov:skip=CKV_AWS_338:A year by default; log_retention_days changes it
  name              = "/aws/lambda/${var.aws_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_115:Its queues bound its concurrency (scaling_config below). Reserved concurrency would throttle the queues' pollers, and count throttled events as tried. It would also let landing files use up what a withdrawal needs
  #checkov:skip=CKV_AWS_116:A Lambda dead-letter queue is for asynchronous invocations; here each queue it is invoked from has one
  #checkov:skip=CKV_AWS_117:It speaks to S3, Glue and CloudWatch only; a VPC would need endpoints for these and protect nothing more
  #checkov:skip=CKV_AWS_173:AWS encrypts its settings with a key of its own; a principal that may read them has the hash key of the lake
  #checkov:skip=CKV_AWS_272:The packages are built where they are deployed; a signing profile belongs to the organization
  function_name = var.aws_name
  description   = "Computes the table ${var.name}"
  role          = aws_iam_role.this.arn

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]
  filename      = var.package_path
  # Deploys again when the package changes.
  source_code_hash = filebase64sha256(var.package_path)

  memory_size = var.memory_mb
  timeout     = var.timeout_seconds

  environment {
    variables = var.environment
  }

  tracing_config {
    mode = "Active"
  }

  logging_config {
    log_group  = aws_cloudwatch_log_group.this.name
    log_format = "JSON"
    # RUST_LOG alone selects the logs: with its default, INFO, Lambda would drop the logs of RUST_LOG=debug.
    application_log_level = "TRACE"
    system_log_level      = "INFO"
  }

  lifecycle {
    precondition {
      condition     = fileexists(var.package_path)
      error_message = "${var.package_path} does not exist. Build the packages, at the top of the repository: ${var.packaging}"
    }
  }

  # Without the policy, the function could not write the logs of its first invocation.
  depends_on = [aws_iam_role_policy.this]
}

resource "aws_lambda_event_source_mapping" "this" {
  for_each = aws_sqs_queue.this

  event_source_arn = each.value.arn
  function_name    = aws_lambda_function.this.arn
  enabled          = var.event_source_enabled

  batch_size                         = var.batch_size
  maximum_batching_window_in_seconds = var.batching_window_seconds
  # SQS delivers only the failed events of a batch again.
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }
}
