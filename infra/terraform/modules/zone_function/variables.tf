variable "name" {
  description = "The function's name in the code, which is also the name of its table."
  type        = string
}

variable "aws_name" {
  description = "Its name on AWS; its queues, role and log group are named after it."
  type        = string
}

variable "package_path" {
  description = "Path of its bootstrap.zip."
  type        = string
}

variable "packaging" {
  description = "The command that makes the packages, for the error message if one is missing."
  type        = string
}

variable "architecture" {
  description = "arm64 or x86_64."
  type        = string
}

variable "environment" {
  description = "Its environment variables."
  type        = map(string)
}

variable "memory_mb" {
  description = "Its memory in MB."
  type        = number
}

variable "timeout_seconds" {
  description = "How long one invocation may take."
  type        = number
}

variable "sqs_arn" {
  description = "What the ARNs of queues begin with: arn:aws:sqs:REGION:ACCOUNT."
  type        = string
}

variable "queues" {
  description = "Its queues by name, each with the topics that it is subscribed to, by name."
  type        = map(map(string))
}

variable "batch_size" {
  description = "Events in one invocation, at most."
  type        = number
}

variable "batching_window_seconds" {
  description = "How long a batch is collected."
  type        = number
}

variable "maximum_concurrency" {
  description = "Instances that each of its queues keeps busy, at most."
  type        = number
}

variable "receive_count_max" {
  description = "How often an event is tried before it goes to the dead-letter queue."
  type        = number
}

variable "event_source_enabled" {
  description = "Whether it receives events from its queues."
  type        = bool
}

variable "access" {
  description = "The objects it may read, write, list and delete: prefixes, which end with a slash, and whole keys. See topology.json."
  type = object({
    landing = list(string)
    reads   = list(string)
    writes  = list(string)
    lists   = list(string)
    deletes = list(string)
  })
}

variable "lake_bucket_arn" {
  description = "The bucket it reads, writes, lists and deletes from."
  type        = string
}

variable "landing_bucket_arns" {
  description = "The buckets where landing files are; the lake's bucket may be one of them."
  type        = list(string)
}

variable "partition_arns" {
  description = "The Glue catalog, database and table whose partitions it registers; empty if it registers none."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "The key of the lake's bucket, the queues and the logs, or null."
  type        = string
}

variable "landing_kms_key_arns" {
  description = "Keys of landing buckets, without kms_key_arn."
  type        = list(string)
}

variable "permissions_boundary_arn" {
  description = "The boundary of its role, or null."
  type        = string
}

variable "log_retention_days" {
  description = "How long its logs are kept; 0 keeps them for ever."
  type        = number
}
