# The function that takes webhooks, the HTTP API before it, and the queue that deliveries may go by. Its role is in
# webhook_role.tf, its alarms in webhook_alarms.tf. The template can do with a function URL instead, for which this provider lacks
# a permission.

locals {
  webhook = var.webhook ? 1 : 0
  queue   = var.webhook && var.webhook_queue ? 1 : 0
  # As the function wants to be told: by the kind of source.
  polled = { for name in keys(local.polls) : trimsuffix(name, "-poll") => "${var.name}-${name}" }
}

resource "aws_lambda_function" "webhook" {
  count         = local.webhook
  function_name = "${var.name}-webhook"
  description   = "Takes webhooks into Postgres."
  role          = aws_iam_role.webhook[0].arn

  filename         = "${var.package_folder}/webhook.zip"
  source_code_hash = filebase64sha256("${var.package_folder}/webhook.zip")
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]

  memory_size                    = var.webhook_memory
  timeout                        = var.webhook_timeout
  reserved_concurrent_executions = var.webhook_reserved_concurrency

  environment {
    variables = merge(
      local.environment,
      local.queue == 0 ? {} : { TRIBUTARY_WEBHOOK_QUEUE = aws_sqs_queue.webhook[0].url },
      var.webhook_bucket == null ? {} : { TRIBUTARY_WEBHOOK_BUCKET = var.webhook_bucket },
      length(local.polled) == 0 ? {} : { TRIBUTARY_POLL_FUNCTIONS = join(",", [for kind, name in local.polled : "${kind}=${name}"]) },
    )
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
    log_group  = aws_cloudwatch_log_group.webhook[0].name
  }

  # Lambda checks the role's rights in the VPC when it makes the function.
  depends_on = [aws_iam_role_policy.webhook]
}

resource "aws_cloudwatch_log_group" "webhook" {
  count             = local.webhook
  name              = "/aws/lambda/${var.name}-webhook"
  retention_in_days = var.log_retention_days
}

resource "aws_apigatewayv2_api" "webhook" {
  count         = local.webhook
  name          = "${var.name}-webhook"
  description   = "Webhooks of Tributary."
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "webhook" {
  count                  = local.webhook
  api_id                 = aws_apigatewayv2_api.webhook[0].id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.webhook[0].arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 30000
}

resource "aws_apigatewayv2_route" "webhook" {
  count     = local.webhook
  api_id    = aws_apigatewayv2_api.webhook[0].id
  route_key = "ANY /hooks/{hook}"
  target    = "integrations/${aws_apigatewayv2_integration.webhook[0].id}"
}

resource "aws_apigatewayv2_stage" "webhook" {
  count       = local.webhook
  api_id      = aws_apigatewayv2_api.webhook[0].id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit  = var.webhook_rate_limit
    throttling_burst_limit = var.webhook_burst_limit
  }
}

# Anybody may call it: the function verifies each sender itself.
resource "aws_lambda_permission" "webhook" {
  count         = local.webhook
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.webhook[0].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.webhook[0].execution_arn}/*/*/hooks/{hook}"
}

# Verified deliveries on their way to the worker, which is the same function. Hidden for six times its timeout, as Lambda
# asks for.
resource "aws_sqs_queue" "webhook" {
  count                      = local.queue
  name                       = "${var.name}-webhook"
  message_retention_seconds  = 345600
  visibility_timeout_seconds = var.webhook_timeout * 6
  sqs_managed_sse_enabled    = true
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.webhook_failures[0].arn, maxReceiveCount = 100 })
}

# Those that failed for hours, until 14 days after they came. `aws sqs start-message-move-task` sends them back when the cause is mended.
resource "aws_sqs_queue" "webhook_failures" {
  count                     = local.queue
  name                      = "${var.name}-webhook-failures"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_lambda_event_source_mapping" "webhook" {
  count                              = local.queue
  function_name                      = aws_lambda_function.webhook[0].arn
  event_source_arn                   = aws_sqs_queue.webhook[0].arn
  function_response_types            = ["ReportBatchItemFailures"]
  batch_size                         = 100
  maximum_batching_window_in_seconds = 1

  scaling_config {
    maximum_concurrency = var.webhook_workers
  }
}
