locals {
  poll_alarms = {
    errors = {
      description = "Several ticks of NAME failed within a quarter of an hour. The log says what to mend; other pipelines go on, and nothing is lost."
      metric      = "Errors"
      statistic   = "Sum"
      period      = 900
      periods     = 1
    }
    throttles = {
      description = "NAME is throttled for a quarter of an hour. Raise its reserved concurrency or the account’s."
      metric      = "Throttles"
      statistic   = "Sum"
      period      = 300
      periods     = 3
    }
    duration = {
      description = "One of ten ticks of NAME takes four fifths of its timeout or more, for a quarter of an hour. There is more to do than fits into a tick. Give it time or memory."
      metric      = "Duration"
      statistic   = "p90"
      period      = 300
      periods     = 3
    }
  }
  # Counted from the metric lines in the log of the very function: the metrics are those of all deployments of the account.
  poll_counts = {
    dead = {
      description = "Records could not be applied and are kept as dead letters. `tributary dead-letters list` shows them."
      field       = "dead"
      test        = "> 0"
      unit        = "Count"
      statistic   = "Sum"
      period      = 300
      threshold   = 1
      missing     = "notBreaching"
    }
    overdue = {
      description = "A pipeline of NAME has not caught up with its source for too long, or no tick has run: a lease that nobody gives back, a quota, a backlog that grows, a schedule that is gone. `tributary status` shows who runs what."
      field       = "overdue_seconds"
      test        = ">= 0"
      unit        = "Seconds"
      statistic   = "Maximum"
      period      = var.poll_overdue_alarm
      threshold   = var.poll_overdue_alarm
      missing     = var.poll_enabled ? "breaching" : "notBreaching"
    }
  }
  of_polls = {
    for of in setproduct(keys(local.polls), keys(local.poll_alarms)) : "${of[0]}-${of[1]}" => { poll = of[0], alarm = of[1] }
  }
  counts_of_polls = {
    for of in setproduct(keys(local.polls), keys(local.poll_counts)) : "${of[0]}-${of[1]}" => { poll = of[0], count = of[1] }
  }
}

resource "aws_cloudwatch_metric_alarm" "poll" {
  for_each = local.of_polls

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = replace(local.poll_alarms[each.value.alarm].description, "NAME", each.value.poll)
  namespace           = "AWS/Lambda"
  metric_name         = local.poll_alarms[each.value.alarm].metric
  dimensions          = { FunctionName = aws_lambda_function.poll[each.value.poll].function_name }
  statistic           = each.value.alarm == "duration" ? null : local.poll_alarms[each.value.alarm].statistic
  extended_statistic  = each.value.alarm == "duration" ? local.poll_alarms[each.value.alarm].statistic : null
  period              = local.poll_alarms[each.value.alarm].period
  evaluation_periods  = local.poll_alarms[each.value.alarm].periods
  threshold           = { errors = var.poll_errors_alarm, throttles = 1, duration = local.polls[each.value.poll].timeout * 800 }[each.value.alarm]
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
}

resource "aws_cloudwatch_log_metric_filter" "poll" {
  for_each       = local.counts_of_polls
  name           = "${var.name}-${each.key}"
  log_group_name = aws_cloudwatch_log_group.poll[each.value.poll].name
  pattern        = "{ ($._aws.Timestamp = *) && ($.${local.poll_counts[each.value.count].field} ${local.poll_counts[each.value.count].test}) }"

  metric_transformation {
    namespace = "Tributary/${var.name}"
    name      = each.key
    value     = "$.${local.poll_counts[each.value.count].field}"
    unit      = local.poll_counts[each.value.count].unit
  }
}

resource "aws_cloudwatch_metric_alarm" "poll_count" {
  for_each = local.counts_of_polls

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = replace(local.poll_counts[each.value.count].description, "NAME", each.value.poll)
  namespace           = "Tributary/${var.name}"
  metric_name         = each.key
  statistic           = local.poll_counts[each.value.count].statistic
  period              = local.poll_counts[each.value.count].period
  evaluation_periods  = 1
  threshold           = local.poll_counts[each.value.count].threshold
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = local.poll_counts[each.value.count].missing
  alarm_actions       = local.topics
  ok_actions          = local.topics
}

resource "aws_cloudwatch_metric_alarm" "poll_undelivered" {
  count = local.polling

  alarm_name          = "${var.name}-poll-undelivered"
  alarm_description   = "The scheduler could not hand ticks to a function. The messages in the queue of poll failures say why, in their attributes."
  namespace           = "AWS/Scheduler"
  metric_name         = "InvocationDroppedCount"
  dimensions          = { ScheduleGroup = aws_scheduler_schedule_group.polls[0].name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
}
