# The function of the DynamoDB streams: code, log, trigger. Its role is in dynamodb_stream_role.tf, its alarms are in
# dynamodb_stream_alarms.tf.

locals {
  dynamodb_stream_name = "${var.name}-dynamodb-stream"
  dynamodb_stream_zip  = "${var.package_folder}/dynamodb-stream.zip"
  # Keyed by what tells them apart, so that one that goes leaves the others alone.
  streams = var.dynamodb_stream ? toset(var.stream_arns) : toset([])
  # Where what is given up goes.
  on_failure = var.on_failure_bucket == null ? var.on_failure_queue_arn : "arn:${local.partition}:s3:::${var.on_failure_bucket}"
}

resource "aws_lambda_function" "dynamodb_stream" {
  count         = var.dynamodb_stream ? 1 : 0
  function_name = local.dynamodb_stream_name
  description   = "Applies the changes of DynamoDB streams to Postgres."
  role          = aws_iam_role.dynamodb_stream[0].arn

  filename         = local.dynamodb_stream_zip
  source_code_hash = filebase64sha256(local.dynamodb_stream_zip)
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]

  memory_size                    = var.stream_memory
  timeout                        = var.stream_timeout
  reserved_concurrent_executions = var.stream_reserved_concurrency

  environment {
    variables = local.environment
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [true] : []
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  # Its lines are JSON already; in the format of that name Lambda would drop some by their level.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.dynamodb_stream[0].name
  }

  # Lambda checks the role's rights in the VPC when it makes the function.
  depends_on = [aws_iam_role_policy.dynamodb_stream]
}

resource "aws_cloudwatch_log_group" "dynamodb_stream" {
  count             = var.dynamodb_stream ? 1 : 0
  name              = "/aws/lambda/${local.dynamodb_stream_name}"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_event_source_mapping" "dynamodb_stream" {
  for_each = local.streams

  function_name                      = aws_lambda_function.dynamodb_stream[0].arn
  event_source_arn                   = each.value
  enabled                            = var.stream_enabled
  starting_position                  = "TRIM_HORIZON"
  function_response_types            = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error     = true
  batch_size                         = var.stream_batch_size
  maximum_batching_window_in_seconds = var.stream_batching_window
  parallelization_factor             = var.stream_parallelization_factor
  maximum_retry_attempts             = var.stream_retry_attempts
  maximum_record_age_in_seconds      = var.stream_record_age

  dynamic "filter_criteria" {
    for_each = var.stream_filter_pattern == null ? [] : [var.stream_filter_pattern]
    content {
      filter {
        pattern = filter_criteria.value
      }
    }
  }

  dynamic "destination_config" {
    for_each = local.on_failure == null ? [] : [local.on_failure]
    content {
      on_failure {
        destination_arn = destination_config.value
      }
    }
  }

  metrics_config {
    metrics = ["EventCount"]
  }
}
