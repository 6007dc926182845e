locals {
  buckets = {
    lake    = local.lake_bucket_name
    queries = "${var.name}-queries-${local.account_id}"
  }
  bucket_arns = { for key, name in local.buckets : key => "arn:${local.partition}:s3:::${name}" }

  # The objects that the functions write, as resources of a policy: prefixes, and a few whole keys.
  derived_arns = [for name in local.topology.derived : "${local.lake_bucket_arn}/${name}${endswith(name, "/") ? "*" : ""}"]
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:access_log_bucket enables access logs; the bucket for them belongs to the owner of the AWS account
  #checkov:skip=CKV_AWS_144:The tables can be computed again from the landing files; their owner decides whether to replicate those
  #checkov:skip=CKV_AWS_145:SSE-S3 unless kms_key_arn gives a customer managed key
  #checkov:skip=CKV2_AWS_62:The lake's bucket has notifications (messaging.tf); query results need none
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
    # With a bucket key, S3 calls KMS from time to time and not once per object.
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

    # Removes the delete marker of an object whose versions have all expired.
    expiration {
      expired_object_delete_marker = true
    }
  }

  # In the lake, only the quarantine expires. In the bucket for query results, everything expires.
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

  # S3 answers with a conflict if both are put at the same time.
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

  # The functions name the version that they replace in every put. This statement forces every other principal to do so,
  # too: a put without If-Match or If-None-Match could replace newer rows by older ones. The parts of a multipart upload
  # take no such header, its completion does; ObjectCreationOperation distinguishes them. The statement also refuses copies
  # into these prefixes, since S3 has no conditional copies.
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

  # S3 refuses some changes of a bucket while it makes another.
  depends_on = [aws_s3_bucket_public_access_block.this]
}
