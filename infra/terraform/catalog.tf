locals {
  glue_arn = "arn:${local.partition}:glue:${local.region}:${local.account_id}"
}

resource "aws_glue_catalog_database" "lake" {
  name        = var.glue_database
  description = "STEDI Lake ${var.name}"
}

# The functions register partitions. Glue keeps these apart from the table, so they never show as a difference here.
resource "aws_glue_catalog_table" "this" {
  for_each = local.tables

  database_name = aws_glue_catalog_database.lake.name
  name          = each.key
  description   = each.value.comment
  table_type    = "EXTERNAL_TABLE"
  parameters    = { EXTERNAL = "TRUE", classification = each.value.format }

  storage_descriptor {
    location      = "s3://${each.value.landing ? local.landing_bucket_name : local.lake_bucket_name}/${each.value.prefix}"
    input_format  = local.formats[each.value.format].input_format
    output_format = local.formats[each.value.format].output_format

    ser_de_info {
      serialization_library = local.formats[each.value.format].serialization_library
      parameters            = local.formats[each.value.format].parameters
    }

    dynamic "columns" {
      for_each = each.value.columns

      content {
        name    = columns.value.name
        type    = columns.value.type
        comment = columns.value.comment
      }
    }
  }

  dynamic "partition_keys" {
    for_each = each.value.partition_columns

    content {
      name    = partition_keys.value.name
      type    = partition_keys.value.type
      comment = partition_keys.value.comment
    }
  }
}
