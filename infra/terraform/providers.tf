locals {
  emulated = var.endpoint_url != null
}

provider "aws" {
  region = var.region

  # An emulator accepts any credentials. It has neither instance metadata nor a host name for each bucket.
  access_key                  = local.emulated ? "test" : null
  secret_key                  = local.emulated ? "test" : null
  s3_use_path_style           = local.emulated
  skip_credentials_validation = local.emulated
  skip_metadata_api_check     = local.emulated ? "true" : null

  dynamic "endpoints" {
    for_each = local.emulated ? [var.endpoint_url] : []

    content {
      athena         = endpoints.value
      cloudwatch     = endpoints.value
      cloudwatchlogs = endpoints.value
      glue           = endpoints.value
      iam            = endpoints.value
      lambda         = endpoints.value
      s3             = endpoints.value
      sns            = endpoints.value
      sqs            = endpoints.value
      sts            = endpoints.value
    }
  }

  default_tags {
    tags = merge({ application = "stedi-lake", lake = var.name, managed_by = "terraform" }, var.tags)
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}
