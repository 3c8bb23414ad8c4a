# The parameters of ../template.yaml, in snake case; the streams are a list here. ../README.md has them as a table.

variable "name" {
  description = "What the names of all resources begin with; what the stack's name is in the template."
  type        = string
  default     = "tributary"
}

variable "package_folder" {
  description = "Where the zips are that `infra/package` wrote. The mapping is in them."
  type        = string
}

# ---- what flows

variable "dynamodb_stream" {
  description = "Whether there is a function for DynamoDB streams."
  type        = bool
  default     = true
}

variable "stream_arns" {
  description = "The DynamoDB streams (stream_arn of the tables). Their view type must be NEW_AND_OLD_IMAGES."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for arn in var.stream_arns : can(regex("^arn:[a-z-]+:dynamodb:[^:]+:[0-9]+:table/[^/]+/stream/.+$", arn))
    ])
    error_message = "A stream's ARN is arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL."
  }
  validation {
    condition     = !var.dynamodb_stream || length(var.stream_arns) > 0
    error_message = "dynamodb_stream is on and stream_arns is empty. Give a stream, or switch the function off."
  }
}

variable "sequin_poll" {
  description = "Whether there is a function that drains Sequin."
  type        = bool
  default     = false
}

variable "airtable_poll" {
  description = "Whether there is a function that polls Airtable."
  type        = bool
  default     = false
}

variable "odk_poll" {
  description = "Whether there is a function that polls ODK Central."
  type        = bool
  default     = false
}

variable "mapping_file" {
  description = "The mapping; a relative path is looked for in the package."
  type        = string
  default     = "tributary.yaml"
}

# ---- the database

variable "secret_arns" {
  description = "The secrets that the mapping names by `secret:`, of the database and of the sources, as whole ARNs with their random suffix."
  type        = list(string)
  default     = []
}

variable "secret_key_arn" {
  description = "The KMS key of those secrets, where it is your own."
  type        = string
  default     = null
}

variable "database_user_arn" {
  description = "For `auth: iam`, arn:aws:rds-db:REGION:ACCOUNT:dbuser:RESOURCE-ID/USER. The id is db-… of an instance, cluster-… or prx-… of an RDS Proxy."
  type        = string
  default     = null

  validation {
    condition = (
      var.database_user_arn == null ? true : can(regex("^arn:[a-z-]+:rds-db:[^:]+:[0-9]+:dbuser:[^/*]+/[^/*]+$", var.database_user_arn))
    )
    error_message = "Name one user of one database: arn:aws:rds-db:REGION:ACCOUNT:dbuser:RESOURCE-ID/USER."
  }
}

variable "database_host" {
  description = "The host of the database in place of what the mapping or its secret says, such as the endpoint of an RDS Proxy."
  type        = string
  default     = null

  validation {
    condition     = var.database_host == null || var.database_url == null
    error_message = "Both database_host and database_url say where the database is. Give one of them."
  }
}

variable "database_proxy" {
  description = "Whether that is an RDS Proxy or another pooling one, in place of `proxy` in the mapping."
  type        = bool
  default     = null
}

variable "database_url" {
  description = "DATABASE_URL of the functions, a Postgres in place of the mapping's sinks. A password in it can be read by whoever may see the function or the state; prefer a secret."
  type        = string
  default     = null
  sensitive   = true
}

variable "subnet_ids" {
  description = "The subnets of the functions, where the database is in a VPC."
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "Their security groups."
  type        = list(string)
  default     = []

  validation {
    condition     = (length(var.subnet_ids) > 0) == (length(var.security_group_ids) > 0)
    error_message = "subnet_ids and security_group_ids come together."
  }
}

# ---- reading the streams

variable "stream_enabled" {
  description = "Whether the streams are read. For a pause of well under 24 hours."
  type        = bool
  default     = true
}

variable "stream_batch_size" {
  description = "The most records of a batch."
  type        = number
  default     = 1000
}

variable "stream_batching_window" {
  description = "How many seconds records are gathered for a batch. More is cheaper and later."
  type        = number
  default     = 1
}

variable "stream_parallelization_factor" {
  description = "How many batches of a shard are worked on at once, each with a database connection of its own."
  type        = number
  default     = 1
}

variable "stream_filter_pattern" {
  description = "An event filter, such as {\"eventName\":[\"INSERT\",\"MODIFY\"]}. What it leaves out is never seen and cannot be replayed."
  type        = string
  default     = null
}

variable "stream_retry_attempts" {
  description = "How often a failed batch is tried again; -1 for as long as the stream has it. Only a failing database fails a batch."
  type        = number
  default     = -1
}

variable "stream_record_age" {
  description = "After how many seconds a record is given up; -1 for never."
  type        = number
  default     = -1
}

variable "on_failure_bucket" {
  description = "The S3 bucket that gets, whole, the batches that are given up. It or the queue is needed with finite attempts or age."
  type        = string
  default     = null

  validation {
    condition = (
      var.on_failure_bucket != null || var.on_failure_queue_arn != null || (var.stream_retry_attempts == -1 && var.stream_record_age == -1)
    )
    error_message = "With finite stream_retry_attempts or stream_record_age, batches can be given up. Name an on_failure_bucket for them, or an on_failure_queue_arn."
  }
  validation {
    condition     = var.on_failure_queue_arn == null || var.on_failure_bucket == null
    error_message = "What is given up goes to one place: on_failure_bucket or on_failure_queue_arn."
  }
}

variable "on_failure_queue_arn" {
  description = "In place of the bucket, the SQS queue that gets where in the stream they stand, for 24 hours."
  type        = string
  default     = null

  validation {
    condition     = var.on_failure_queue_arn == null ? true : can(regex("^arn:[a-z-]+:sqs:[^:]+:[0-9]+:[^:]+$", var.on_failure_queue_arn))
    error_message = "A queue's ARN is arn:aws:sqs:REGION:ACCOUNT:NAME."
  }
}

variable "allow_backfill" {
  description = "Whether the function may read the tables of its streams, for a backfill."
  type        = bool
  default     = true
}

variable "table_key_arn" {
  description = "The KMS key of the tables, where it is your own."
  type        = string
  default     = null
}

# ---- polling

variable "poll_enabled" {
  description = "Whether the schedules tick. For a pause that the source can bear."
  type        = bool
  default     = true
}

variable "sequin_rate" {
  description = "When Sequin is drained. `every` in the mapping may make it rarer for a pipeline, not more frequent."
  type        = string
  default     = "rate(1 minute)"
}

variable "airtable_rate" {
  description = "When Airtable is asked for changes; `every` in the mapping as with Sequin. Its plan may limit the requests of a month."
  type        = string
  default     = "rate(1 minute)"
}

variable "airtable_requests_per_second" {
  description = "How many requests a second a base gets. Airtable allows 5 from everybody together."
  type        = number
  default     = 5
}

variable "odk_rate" {
  description = "When ODK Central is asked for changes; `every` in the mapping as with Sequin. Two requests a form where nothing has changed."
  type        = string
  default     = "rate(1 minute)"
}

variable "odk_bucket" {
  description = "The S3 bucket for the files of submissions, as the mapping names it in `attachments: { to: { s3: … } }`."
  type        = string
  default     = null
}

variable "odk_bucket_key_arn" {
  description = "The KMS key of that bucket, where it is your own."
  type        = string
  default     = null
}

variable "poll_retry_attempts" {
  description = "How often Lambda itself tries a failed tick again. The next tick does anyway; for rates of hours."
  type        = number
  default     = 0
}

# ---- the functions

variable "architecture" {
  description = "What the functions were built for (`infra/package --arch`) and run on."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "arm64 or x86_64."
  }
}

variable "stream_memory" {
  description = "The memory of the function in MB. Its share of the CPU grows with it."
  type        = number
  default     = 256
}

variable "stream_timeout" {
  description = "The timeout of the function in seconds."
  type        = number
  default     = 60
}

variable "stream_reserved_concurrency" {
  description = "Reserved concurrency, which is also the most database connections; -1 for none, which small accounts must have."
  type        = number
  default     = -1
}

variable "sequin_memory" {
  description = "The memory of the function that drains Sequin, in MB."
  type        = number
  default     = 256
}

variable "sequin_timeout" {
  description = "Its timeout in seconds. A tick takes as much of it as there is to do; the next goes on."
  type        = number
  default     = 60
}

variable "airtable_memory" {
  description = "The memory of the function that polls Airtable, in MB."
  type        = number
  default     = 256
}

variable "airtable_timeout" {
  description = "Its timeout in seconds. A sweep of the largest table should fit, at 500 records a second."
  type        = number
  default     = 300
}

variable "odk_memory" {
  description = "The memory of the function that polls ODK Central, in MB."
  type        = number
  default     = 256
}

variable "odk_timeout" {
  description = "Its timeout in seconds. A first pass goes on in the next tick; the largest file of a submission should fit."
  type        = number
  default     = 300
}

variable "odk_storage" {
  description = "The room on its disk in MB, 512 to 10240. Up to four files are there at a time, on their way to the bucket."
  type        = number
  default     = 512
}

variable "poll_reserved_concurrency" {
  description = "Reserved concurrency of each function that polls; -1 for none. It needs none, since a lease lets one tick a pipeline work."
  type        = number
  default     = -1
}

variable "log_level" {
  description = "How much the functions log: error, warn, info, debug or trace. Never a row value."
  type        = string
  default     = "info"
}

variable "log_retention_days" {
  description = "How many days logs are kept."
  type        = number
  default     = 30
}

# ---- watching

variable "alarm_topic_arn" {
  description = "The SNS topic that hears of alarms; without one they only show."
  type        = string
  default     = null
}

variable "iterator_age_alarm" {
  description = "From which age of records, in ms, there is an alarm. A stream forgets after 86400000, 24 hours."
  type        = number
  default     = 43200000
}

variable "poll_errors_alarm" {
  description = "From how many failed ticks in a quarter of an hour there is an alarm. With a rate of 15 minutes or more, 1."
  type        = number
  default     = 3
}

variable "poll_overdue_alarm" {
  description = "For how many seconds a polled pipeline may be late, or all ticks stay away, until there is an alarm. At least three times the rarest rate."
  type        = number
  default     = 900
}

variable "dashboard" {
  description = "Whether there is a dashboard."
  type        = bool
  default     = true
}

# ---- webhooks

variable "webhook" {
  description = "Whether there is a function that takes webhooks."
  type        = bool
  default     = false
}

variable "webhook_rate_limit" {
  description = "How many requests a second the HTTP API lets through."
  type        = number
  default     = 100
}

variable "webhook_burst_limit" {
  description = "How many requests at once beyond that."
  type        = number
  default     = 200
}

variable "webhook_queue" {
  description = "Whether there is a queue, for hooks with `mode: queue`."
  type        = bool
  default     = false
}

variable "webhook_workers" {
  description = "How many batches of the queue are worked on at once, each with a database connection of its own."
  type        = number
  default     = 2
}

variable "webhook_bucket" {
  description = "The S3 bucket for bodies that are larger than a message of the queue, with `too_large: s3`. Give it a lifecycle of 19 days or more."
  type        = string
  default     = null
}

variable "webhook_memory" {
  description = "The memory of the function that takes webhooks, in MB. A body may have 24 MB, uncompressed."
  type        = number
  default     = 512
}

variable "webhook_timeout" {
  description = "Its timeout in seconds. An HTTP API waits for 30 at most."
  type        = number
  default     = 30
}

variable "webhook_reserved_concurrency" {
  description = "Reserved concurrency, which is also the most database connections, and what an attacker can make you pay; -1 for none, which small accounts must have."
  type        = number
  default     = -1
}
