locals {
  webhook_alarms = {
    errors = {
      description = "Invocations of webhook fail: it runs out of time or memory, or its configuration is wrong. Senders get 502 and come again. The log says what to mend."
      metric      = "Errors"
      periods     = 1
      threshold   = 1
    }
    throttles = {
      description = "webhook is throttled for a quarter of an hour. Senders come again. Raise its reserved concurrency or the account’s."
      metric      = "Throttles"
      periods     = 3
      threshold   = 1
    }
    duration = {
      description = "One of ten invocations of webhook takes four fifths of its timeout or more, for a quarter of an hour. Is the database slow?"
      metric      = "Duration"
      periods     = 3
      threshold   = var.webhook_timeout * 800
    }
  }
  webhook_queue_alarms = {
    failures = {
      description = "Webhooks could not be applied for hours and wait in the queue of failures. The log says why; mend it, then send them back."
      metric      = "ApproximateNumberOfMessagesVisible"
      threshold   = 1
    }
    delay = {
      description = "Webhooks wait in the queue for a quarter of an hour. Is the database up? Else give the worker more concurrency."
      metric      = "ApproximateAgeOfOldestMessage"
      threshold   = 900
    }
  }
  # Counted from the lines in the log of this very function: answers of 5xx are no errors of an invocation, and the metric of
  # dead letters is one of all deployments of the account.
  webhook_counts = {
    failed = {
      description = "Deliveries were answered 500 or 503, or must come again from the queue. The log says why; senders come again for a while."
      pattern     = "{ $.level = \"ERROR\" }"
      value       = "1"
      threshold   = 5
    }
    dead = {
      description = "Records could not be applied and are kept as dead letters. `tributary dead-letters list` shows them."
      pattern     = "{ ($._aws.Timestamp = *) && ($.dead > 0) }"
      value       = "$.dead"
      threshold   = 1
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "webhook" {
  for_each = { for name, alarm in local.webhook_alarms : name => alarm if var.webhook }

  alarm_name          = "${var.name}-webhook-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = aws_lambda_function.webhook[0].function_name }
  statistic           = each.key == "duration" ? null : "Sum"
  extended_statistic  = each.key == "duration" ? "p90" : null
  period              = 300
  evaluation_periods  = each.value.periods
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
}

resource "aws_cloudwatch_metric_alarm" "webhook_queue" {
  for_each = { for name, alarm in local.webhook_queue_alarms : name => alarm if local.queue == 1 }

  alarm_name          = "${var.name}-webhook-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/SQS"
  metric_name         = each.value.metric
  dimensions          = { QueueName = each.key == "failures" ? aws_sqs_queue.webhook_failures[0].name : aws_sqs_queue.webhook[0].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
}

resource "aws_cloudwatch_log_metric_filter" "webhook" {
  for_each       = { for name, count in local.webhook_counts : name => count if var.webhook }
  name           = "${var.name}-webhook-${each.key}"
  log_group_name = aws_cloudwatch_log_group.webhook[0].name
  pattern        = each.value.pattern

  metric_transformation {
    namespace = "Tributary/${var.name}"
    name      = "webhook-${each.key}"
    value     = each.value.value
    unit      = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "webhook_count" {
  for_each = { for name, count in local.webhook_counts : name => count if var.webhook }

  alarm_name          = "${var.name}-webhook-${each.key}"
  alarm_description   = each.value.description
  namespace           = "Tributary/${var.name}"
  metric_name         = "webhook-${each.key}"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
}
