# Name and region

variable "name" {
  description = "Prefix of all resource names. Another name makes another lake, also in the same AWS account."
  type        = string
  default     = "stedi"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,29}$", var.name))
    error_message = "name must have 2 to 30 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "region" {
  description = "The AWS region. Default: the region of AWS_REGION or of the profile."
  type        = string
  default     = null

  validation {
    condition     = var.region == null || can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must have the form of eu-central-1."
  }
}

variable "endpoint_url" {
  description = "An emulator to deploy to instead of AWS, with test credentials, such as http://127.0.0.1:5000."
  type        = string
  default     = null

  validation {
    condition     = var.endpoint_url == null || can(regex("^https?://[^/]+/?$", var.endpoint_url))
    error_message = "endpoint_url must be a URL without a path, such as http://127.0.0.1:5000."
  }
}

variable "tags" {
  description = "Tags of all resources, besides application, lake and managed_by."
  type        = map(string)
  default     = {}
  nullable    = false
}

# Buckets

variable "lake_bucket_name" {
  description = "Name of the lake's bucket, which is made here. Default: NAME-lake-ACCOUNT."
  type        = string
  default     = null

  validation {
    condition     = var.lake_bucket_name == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.lake_bucket_name))
    error_message = "lake_bucket_name must have 3 to 63 lower-case letters, digits, dots and hyphens, and begin and end with a letter or a digit."
  }
}

variable "landing_buckets" {
  description = <<-EOT
    Existing buckets of this AWS account and region where files arrive, instead of the lake's own bucket. Their files must
    be below the same landing prefixes. The landing tables show the first bucket. A bucket has one notification
    configuration. With manage_notifications it is made here and REPLACES the bucket's present one. Without it, add the
    output landing_notifications to the present one. kms_key_arn is the customer managed key of the bucket's objects, if
    they have one.
  EOT
  type = list(object({
    name                 = string
    manage_notifications = optional(bool, false)
    kms_key_arn          = optional(string)
  }))
  default  = []
  nullable = false

  validation {
    condition     = length(distinct(var.landing_buckets[*].name)) == length(var.landing_buckets)
    error_message = "landing_buckets must name each bucket once."
  }

  validation {
    condition     = alltrue([for bucket in var.landing_buckets : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", bucket.name))])
    error_message = "landing_buckets must hold names of buckets, without s3:// and without a prefix."
  }

  validation {
    condition     = alltrue([for bucket in var.landing_buckets : bucket.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", bucket.kms_key_arn))])
    error_message = "kms_key_arn of a landing bucket must be the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not of an alias."
  }
}

variable "kms_key_arn" {
  description = "A customer managed key for buckets, queues, topics and logs. Its policy needs the statements of the output kms_key_policy. Default: SSE-S3 and SSE-SQS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not of an alias, because policies name the key."
  }
}

variable "access_log_bucket" {
  description = "An existing bucket for the access logs of the buckets made here. It must let logging.s3.amazonaws.com write. Default: no access logs."
  type        = string
  default     = null

  validation {
    condition     = var.access_log_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.access_log_bucket))
    error_message = "access_log_bucket must be the name of a bucket, without s3:// and without a prefix."
  }
}

variable "quarantine_expiry_days" {
  description = "How long rejected lines are kept, in days. They hold original bytes, also personal data."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.quarantine_expiry_days >= 1 && floor(var.quarantine_expiry_days) == var.quarantine_expiry_days
    error_message = "quarantine_expiry_days must be a whole number of at least 1."
  }
}

variable "noncurrent_expiry_days" {
  description = "How long replaced and deleted versions of objects are kept, in days. Until then, the rows of a customer who withdrew consent can be restored."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.noncurrent_expiry_days >= 1 && floor(var.noncurrent_expiry_days) == var.noncurrent_expiry_days
    error_message = "noncurrent_expiry_days must be a whole number of at least 1."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may delete buckets that hold objects, and so the whole lake."
  type        = bool
  default     = false
  nullable    = false
}

# The lake

variable "hash_key" {
  description = "The secret with which the lake hashes emails, serial numbers and file names: 64 hexadecimal digits, as `openssl rand -hex 32` prints them. Keep a copy: without it the lake cannot be used. The lake records its fingerprint when it is made; the functions refuse another key later."
  type        = string
  sensitive   = true
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.hash_key))
    error_message = "hash_key must have 64 lower-case hexadecimal digits, as `openssl rand -hex 32` prints them."
  }
}

variable "consent_policy" {
  description = "ever keeps all readings of a consenting customer; at-reading keeps those at or after the consent. The lake records the policy when it is made; the functions refuse another one later."
  type        = string
  default     = "ever"
  nullable    = false

  validation {
    condition     = contains(["ever", "at-reading"], var.consent_policy)
    error_message = "consent_policy must be ever or at-reading."
  }
}

variable "pairs" {
  description = "same-instant keeps every pair of readings of one instant in the training table; same-customer keeps those of one customer, for busy lakes. The lake records it when it is made; the functions refuse another one later."
  type        = string
  default     = "same-instant"
  nullable    = false

  validation {
    condition     = contains(["same-instant", "same-customer"], var.pairs)
    error_message = "pairs must be same-instant or same-customer."
  }
}

variable "slices_per_hour" {
  description = "Number of slices into which an hour is divided, each with one object in a table: a divisor of 3600. Each upload writes the objects of its slices again, so busy lakes need more. The lake records it when it is made; the functions refuse another number later."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.slices_per_hour >= 1 && floor(var.slices_per_hour) == var.slices_per_hour && 3600 % max(1, var.slices_per_hour) == 0
    error_message = "slices_per_hour must be a divisor of 3600, such as 1, 4, 12 or 60."
  }
}

variable "customer_shards" {
  description = "Number of objects into which a table of customers is split. The lake records it when it is made; the functions refuse another number later."
  type        = number
  default     = 16
  nullable    = false

  validation {
    condition     = var.customer_shards >= 1 && var.customer_shards <= 1024 && floor(var.customer_shards) == var.customer_shards
    error_message = "customer_shards must be a whole number from 1 to 1024."
  }
}

variable "glue_database" {
  description = "Name of the Glue database, which is made here."
  type        = string
  default     = "stedi"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9_]{1,255}$", var.glue_database))
    error_message = "glue_database must have lower-case letters, digits and underscores only, because Athena needs quotes around other names."
  }
}

# The functions

variable "packages_dir" {
  description = "The folder that holds NAME/bootstrap.zip of each function, absolute or relative to this folder."
  type        = string
  default     = "../../target/lambda"
  nullable    = false
}

variable "architecture" {
  description = "The architecture of the packages: arm64 (a fifth cheaper) or x86_64."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64."
  }
}

variable "memory_mb" {
  description = "Memory of each function, in MB. Lambda gives a share of a processor with it: a whole one at 1769."
  type        = number
  default     = 1024
  nullable    = false

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240 && floor(var.memory_mb) == var.memory_mb
    error_message = "memory_mb must be a whole number from 128 to 10240."
  }
}

variable "timeout_seconds" {
  description = "Time limit of one invocation, in seconds. A message stays hidden six times as long, plus the batching window."
  type        = number
  default     = 120
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900 && floor(var.timeout_seconds) == var.timeout_seconds
    error_message = "timeout_seconds must be a whole number from 1 to 900."
  }
}

variable "batch_size" {
  description = "Events in one invocation, at most. A function writes each output of a batch once, so larger batches cost less and take longer."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 10000 && floor(var.batch_size) == var.batch_size
    error_message = "batch_size must be a whole number from 1 to 10000."
  }

  validation {
    condition     = var.batch_size <= 10 || var.batching_window_seconds >= 1
    error_message = "batch_size above 10 needs batching_window_seconds of at least 1: AWS demands it."
  }
}

variable "batching_window_seconds" {
  description = "How long a batch is collected, in seconds: 0 to 300. Each step of the cascade waits up to that."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.batching_window_seconds >= 0 && var.batching_window_seconds <= 300 && floor(var.batching_window_seconds) == var.batching_window_seconds
    error_message = "batching_window_seconds must be a whole number from 0 to 300."
  }
}

variable "maximum_concurrency" {
  description = "Instances of a function that each of its queues keeps busy, at most. A function with two queues, landing and changes, may have twice as many."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000 && floor(var.maximum_concurrency) == var.maximum_concurrency
    error_message = "maximum_concurrency must be a whole number from 2 to 1000: the minimum of AWS is 2."
  }
}

variable "receive_count_max" {
  description = "How often an event is tried before it goes to the dead-letter queue. AWS advises at least 5."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.receive_count_max >= 1 && var.receive_count_max <= 1000 && floor(var.receive_count_max) == var.receive_count_max
    error_message = "receive_count_max must be a whole number from 1 to 1000."
  }
}

variable "event_sources_enabled" {
  description = "Whether the functions receive events from their queues. If false, events wait there, up to four days."
  type        = bool
  default     = true
  nullable    = false
}

variable "rust_log" {
  description = "Which logs the functions write: the value of RUST_LOG."
  type        = string
  default     = "info,lambda_runtime=warn"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_:=,./-]+$", var.rust_log))
    error_message = "rust_log must be a filter such as info or info,engine=debug."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept, in days; 0 keeps them for ever."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition = contains(
      [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days
    )
    error_message = "log_retention_days must be a number that CloudWatch allows: 0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "permissions_boundary_arn" {
  description = "A permissions boundary for the functions' roles, if your organization demands one."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of a managed policy."
  }
}

# Athena

variable "athena_bytes_scanned_max" {
  description = "Bytes that one query of the workgroup may scan, at most. AWS bills by scanned bytes; 10 GiB cost 5 cents."
  type        = number
  default     = 10737418240
  nullable    = false

  validation {
    condition     = var.athena_bytes_scanned_max >= 10485760
    error_message = "athena_bytes_scanned_max must be at least 10485760 (10 MiB), the minimum of AWS."
  }
}

variable "athena_results_expiry_days" {
  description = "How long query results are kept, in days."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.athena_results_expiry_days >= 1 && floor(var.athena_results_expiry_days) == var.athena_results_expiry_days
    error_message = "athena_results_expiry_days must be a whole number of at least 1."
  }
}

# Alarms

variable "alarm_email" {
  description = "The address that receives alarms. AWS first asks it to confirm. Default: none; subscribe to the output alarm_topic_arn yourself."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.alarm_email))
    error_message = "alarm_email must be an email address."
  }
}

variable "alarm_message_age_seconds" {
  description = "Age of a waiting event that raises an alarm, in seconds."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.alarm_message_age_seconds >= 60
    error_message = "alarm_message_age_seconds must be at least 60."
  }
}

variable "alarm_quarantine_percent" {
  description = "Rejected share of an hour's rows that raises an alarm, in percent."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.alarm_quarantine_percent >= 0 && var.alarm_quarantine_percent < 100
    error_message = "alarm_quarantine_percent must be at least 0 and less than 100."
  }
}
