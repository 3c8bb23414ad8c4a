locals {
  dynamodb_stream_alarms = {
    iterator-age = {
      description = "Records wait for so long that the stream may forget them before they are written. Is the database up, does the mapping fit it?"
      metric      = "IteratorAge"
      statistic   = "Maximum"
      periods     = 1
      threshold   = var.iterator_age_alarm
    }
    errors = {
      description = "Invocations of dynamodb-stream fail. The log says what to mend; nothing is lost while the stream keeps the records."
      metric      = "Errors"
      statistic   = "Sum"
      periods     = 1
      threshold   = 1
    }
    throttles = {
      description = "dynamodb-stream is throttled for a quarter of an hour. Raise its reserved concurrency or the account’s."
      metric      = "Throttles"
      statistic   = "Sum"
      periods     = 3
      threshold   = 1
    }
    duration = {
      description = "One of ten invocations of dynamodb-stream takes four fifths of its timeout or more, for a quarter of an hour. Is the database slow? Else give memory or a smaller batch."
      metric      = "Duration"
      statistic   = "p90"
      periods     = 3
      threshold   = var.stream_timeout * 800
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "dynamodb_stream" {
  for_each = { for name, alarm in local.dynamodb_stream_alarms : name => alarm if var.dynamodb_stream }

  alarm_name          = "${local.dynamodb_stream_name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = aws_lambda_function.dynamodb_stream[0].function_name }
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period              = 300
  evaluation_periods  = each.value.periods
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
}

# What the event source mapping gave up and nobody keeps. What outlives the stream's 24 hours is not counted: that is the
# age's alarm.
resource "aws_cloudwatch_metric_alarm" "dynamodb_stream_dropped" {
  for_each = local.streams

  alarm_name          = "${local.dynamodb_stream_name}-dropped-${split("/", each.value)[1]}"
  alarm_description   = "Records of the DynamoDB table ${split("/", each.value)[1]} were given up, and nobody keeps them. Repair with `tributary backfill --repair`."
  namespace           = "AWS/Lambda"
  metric_name         = "DroppedEventCount"
  dimensions          = { EventSourceMappingUUID = aws_lambda_event_source_mapping.dynamodb_stream[each.value].uuid }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
}

resource "aws_cloudwatch_metric_alarm" "dynamodb_stream_given_up" {
  for_each = local.on_failure == null ? toset([]) : local.streams

  alarm_name          = "${local.dynamodb_stream_name}-given-up-${split("/", each.value)[1]}"
  alarm_description   = "Records of the DynamoDB table ${split("/", each.value)[1]} were given up; the on-failure destination has them. Mend the cause, then `tributary redrive`, with a queue within 24 hours."
  namespace           = "AWS/Lambda"
  metric_name         = "OnFailureDestinationDeliveredEventCount"
  dimensions          = { EventSourceMappingUUID = aws_lambda_event_source_mapping.dynamodb_stream[each.value].uuid }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
}

# Counted from the metric lines in the log of this very function: the metric is one of all deployments of the account.
resource "aws_cloudwatch_log_metric_filter" "dynamodb_stream_dead" {
  count          = var.dynamodb_stream ? 1 : 0
  name           = "${local.dynamodb_stream_name}-dead"
  log_group_name = aws_cloudwatch_log_group.dynamodb_stream[0].name
  pattern        = "{ ($._aws.Timestamp = *) && ($.dead > 0) }"

  metric_transformation {
    namespace = "Tributary/${var.name}"
    name      = "dynamodb-stream-dead"
    value     = "$.dead"
    unit      = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "dynamodb_stream_dead" {
  count = var.dynamodb_stream ? 1 : 0

  alarm_name          = "${local.dynamodb_stream_name}-dead"
  alarm_description   = "Records could not be applied and are kept as dead letters. `tributary dead-letters list` shows them."
  namespace           = "Tributary/${var.name}"
  metric_name         = "dynamodb-stream-dead"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
}
