# The functions that poll: code, log, schedule, and where failures go. Their roles are in polls_role.tf, their alarms in
# polls_alarms.tf. A further one is a further entry in `all_polls` and its variables.

locals {
  all_polls = {
    sequin-poll = {
      on          = var.sequin_poll
      description = "Drains Sequin into Postgres."
      rate        = var.sequin_rate
      memory      = var.sequin_memory
      timeout     = var.sequin_timeout
      storage     = 512
      environment = {}
    }
    airtable-poll = {
      on          = var.airtable_poll
      description = "Polls Airtable into Postgres."
      rate        = var.airtable_rate
      memory      = var.airtable_memory
      timeout     = var.airtable_timeout
      storage     = 512
      environment = { TRIBUTARY_AIRTABLE_RATE = tostring(var.airtable_requests_per_second) }
    }
    odk-poll = {
      on          = var.odk_poll
      description = "Polls ODK Central into Postgres."
      rate        = var.odk_rate
      memory      = var.odk_memory
      timeout     = var.odk_timeout
      storage     = var.odk_storage
      environment = {}
    }
  }
  polls = { for name, poll in local.all_polls : name => poll if poll.on }
  # Once, if there is any.
  polling = length(local.polls) > 0 ? 1 : 0
}

# A group of our own, because the scheduler counts by group.
resource "aws_scheduler_schedule_group" "polls" {
  count = local.polling
  name  = var.name
}

# What the scheduler could not deliver, and the ticks that failed, each with its error. To look into: a next tick does
# the work, so nothing has to be sent back.
resource "aws_sqs_queue" "poll_failures" {
  count                     = local.polling
  name                      = "${var.name}-poll-failures"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_lambda_function" "poll" {
  for_each      = local.polls
  function_name = "${var.name}-${each.key}"
  description   = each.value.description
  role          = aws_iam_role.poll[each.key].arn

  filename         = "${var.package_folder}/${each.key}.zip"
  source_code_hash = filebase64sha256("${var.package_folder}/${each.key}.zip")
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]

  memory_size                    = each.value.memory
  timeout                        = each.value.timeout
  reserved_concurrent_executions = var.poll_reserved_concurrency

  ephemeral_storage {
    size = each.value.storage
  }

  environment {
    variables = merge(local.environment, each.value.environment)
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
    log_group  = aws_cloudwatch_log_group.poll[each.key].name
  }

  # Lambda checks the role's rights in the VPC when it makes the function.
  depends_on = [aws_iam_role_policy.poll]
}

resource "aws_cloudwatch_log_group" "poll" {
  for_each          = local.polls
  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
}

# A tick that fails is tried again by the next one. What waits for longer than a minute is old; with retries of Lambda's
# own, which begin after a minute, an hour is time for them.
resource "aws_lambda_function_event_invoke_config" "poll" {
  for_each                     = local.polls
  function_name                = aws_lambda_function.poll[each.key].function_name
  maximum_retry_attempts       = var.poll_retry_attempts
  maximum_event_age_in_seconds = var.poll_retry_attempts == 0 ? 60 : 3600

  destination_config {
    on_failure {
      destination = aws_sqs_queue.poll_failures[0].arn
    }
  }

  # Lambda asks whether the role may send there.
  depends_on = [aws_iam_role_policy.poll]
}

resource "aws_scheduler_schedule" "poll" {
  for_each            = local.polls
  name                = "${var.name}-${each.key}"
  group_name          = aws_scheduler_schedule_group.polls[0].name
  description         = each.value.description
  state               = var.poll_enabled ? "ENABLED" : "DISABLED"
  schedule_expression = each.value.rate

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.poll[each.key].arn
    role_arn = aws_iam_role.poll_schedule[each.key].arn
    input    = jsonencode({ tick = {} })

    retry_policy {
      maximum_retry_attempts       = 2
      maximum_event_age_in_seconds = 60
    }

    dead_letter_config {
      arn = aws_sqs_queue.poll_failures[0].arn
    }
  }

  depends_on = [aws_iam_role_policy.poll_schedule]
}
