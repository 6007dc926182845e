locals {
  buckets = {
    lake    = local.lake_bucket_name
    queries = "${var.name}-queries-${local.account_id}"
  }
  bucket_arns = { for key, name in local.buckets : key => "arn:${local.partition}:s3:::${name}" }

  # What the functions write, as the resources of a policy: prefixes, and a few whole keys.
  derived_arns = [for name in local.topology.derived : "${local.lake_bucket_arn}/${name}${endswith(name, "/") ? "*" : ""}"]
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:Access logs are on if access_log_bucket names a bucket for them; making one is for the account's owner
  #checkov:skip=CKV_AWS_144:The tables can be derived again from the landing files; replicating those is a decision of their owner
  #checkov:skip=CKV_AWS_145:SSE-S3 unless kms_key_arn gives a customer managed key
  #checkov:skip=CKV2_AWS_62:The lake's bucket has notifications (messaging.tf); nobody is to be told of query results
  for_each = local.buckets

  bucket        = each.value
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = aws_s3_bucket.this

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    # With a bucket key, S3 asks KMS once per while and not once per object.
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_logging" "this" {
  for_each = var.access_log_bucket == null ? {} : aws_s3_bucket.this

  bucket        = each.value.id
  target_bucket = var.access_log_bucket
  target_prefix = "${each.value.id}/"
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    id     = "incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 3
    }
  }

  rule {
    id     = "noncurrent-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_expiry_days
    }

    # What is left of an object whose versions have all expired.
    expiration {
      expired_object_delete_marker = true
    }
  }

  # In the lake only the quarantine expires; of the results of queries, all do.
  rule {
    id     = each.key == "lake" ? "quarantine" : "results"
    status = "Enabled"

    filter {
      prefix = each.key == "lake" ? "quarantine/" : null
    }

    expiration {
      days = each.key == "lake" ? var.quarantine_expiry_days : var.athena_results_expiry_days
    }
  }

  # Else the two may be put at once, which S3 answers with a conflict.
  depends_on = [aws_s3_bucket_versioning.this]
}

locals {
  deny_without_tls = {
    for key, arn in local.bucket_arns : key => {
      Sid       = "DenyWithoutTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [arn, "${arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }
  }

  # The functions never write an object without naming the version they have read. This makes sure that nobody does:
  # a put without If-Match or If-None-Match could replace newer rows by older ones. The parts of a multipart upload take
  # no such header, its completion does; ObjectCreationOperation tells them apart. Copies into these prefixes are refused
  # as well, since S3 knows no conditional ones.
  deny_unconditional_writes = {
    Sid       = "DenyUnconditionalWrites"
    Effect    = "Deny"
    Principal = "*"
    Action    = "s3:PutObject"
    Resource  = local.derived_arns
    Condition = {
      Null = { "s3:if-match" = "true", "s3:if-none-match" = "true" }
      Bool = { "s3:ObjectCreationOperation" = "true" }
    }
  }

  bucket_policies = {
    lake    = [local.deny_without_tls.lake, local.deny_unconditional_writes]
    queries = [local.deny_without_tls.queries]
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.bucket_policies[each.key] })

  # S3 refuses some requests for a bucket while another of the same kind is under way.
  depends_on = [aws_s3_bucket_public_access_block.this]
}
