locals {
  # Each file is one query. Its first line, a comment, becomes the description.
  queries = {
    for name in fileset("${path.module}/queries", "*.sql") : trimsuffix(name, ".sql") => file("${path.module}/queries/${name}")
  }
}

resource "aws_athena_workgroup" "lake" {
  name        = var.name
  description = "Queries on the STEDI Lake ${var.name}"

  # Without this, AWS refuses to delete a workgroup that has a history of queries.
  force_destroy = true

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.athena_bytes_scanned_max

    engine_version {
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location       = "s3://${aws_s3_bucket.this["queries"].id}/"
      expected_bucket_owner = local.account_id

      encryption_configuration {
        encryption_option = var.kms_key_arn == null ? "SSE_S3" : "SSE_KMS"
        kms_key_arn       = var.kms_key_arn
      }
    }
  }
}

resource "aws_athena_named_query" "this" {
  for_each = local.queries

  name        = "${var.name}-${replace(each.key, "_", "-")}"
  description = trimprefix(split("\n", each.value)[0], "-- ")
  workgroup   = aws_athena_workgroup.lake.id
  database    = aws_glue_catalog_database.lake.name
  query       = each.value
}
