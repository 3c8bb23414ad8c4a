# What a plan makes of the variables of the functions that poll, without AWS. `infra/check` runs it, and puts something that
# passes for a zip into `tests/package`.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_region" {
    defaults = { name = "us-east-2" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:us-east-2:123456789012:failures" }
  }
  mock_resource "aws_scheduler_schedule_group" {
    defaults = { arn = "arn:aws:scheduler:us-east-2:123456789012:schedule-group/tributary" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:us-east-2:123456789012:function:mock" }
  }
}

variables {
  package_folder  = "./tests/package"
  dynamodb_stream = false
}

run "none_by_default" {
  assert {
    condition = (
      length(aws_lambda_function.poll) + length(aws_scheduler_schedule.poll) + length(aws_sqs_queue.poll_failures)
      + length(aws_cloudwatch_metric_alarm.poll) + length(aws_cloudwatch_metric_alarm.poll_count) + length(aws_cloudwatch_dashboard.all)
    ) == 0
    error_message = "something is there that nobody asked for"
  }
}

run "sequin_alone" {
  variables {
    sequin_poll = true
  }
  assert {
    condition     = keys(aws_lambda_function.poll) == ["sequin-poll"] && aws_lambda_function.poll["sequin-poll"].timeout == 60
    error_message = "just the one that is on"
  }
  assert {
    condition = (
      aws_scheduler_schedule.poll["sequin-poll"].schedule_expression == "rate(1 minute)"
      && aws_scheduler_schedule.poll["sequin-poll"].state == "ENABLED"
      && aws_scheduler_schedule.poll["sequin-poll"].target[0].input == "{\"tick\":{}}"
      && aws_scheduler_schedule.poll["sequin-poll"].target[0].dead_letter_config[0].arn == "arn:aws:sqs:us-east-2:123456789012:failures"
    )
    error_message = "it ticks each minute, and what cannot be delivered is kept"
  }
  assert {
    condition = (
      aws_lambda_function_event_invoke_config.poll["sequin-poll"].maximum_retry_attempts == 0
      && aws_lambda_function_event_invoke_config.poll["sequin-poll"].maximum_event_age_in_seconds == 60
      && aws_lambda_function_event_invoke_config.poll["sequin-poll"].destination_config[0].on_failure[0].destination == "arn:aws:sqs:us-east-2:123456789012:failures"
    )
    error_message = "a failed tick is kept, and not tried again"
  }
  assert {
    condition     = aws_sqs_queue.poll_failures[0].sqs_managed_sse_enabled && aws_sqs_queue.poll_failures[0].message_retention_seconds == 1209600
    error_message = "the queue is encrypted and keeps for 14 days"
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.poll["sequin-poll"].policy).Statement : [statement.Sid, statement.Resource[0]]] == [
      ["Log", "arn:aws:logs:us-east-2:123456789012:log-group:/aws/lambda/tributary-sequin-poll:*"],
      ["Failures", "arn:aws:sqs:us-east-2:123456789012:failures"],
    ]
    error_message = "the function may more, or less, than what it is asked for"
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.poll_schedule["sequin-poll"].policy).Statement : [statement.Action[0], statement.Resource[0]]] == [
      ["lambda:InvokeFunction", "arn:aws:lambda:us-east-2:123456789012:function:mock"],
      ["sqs:SendMessage", "arn:aws:sqs:us-east-2:123456789012:failures"],
    ]
    error_message = "the schedule may more than tick and say that it could not"
  }
  assert {
    condition     = jsondecode(aws_iam_role.poll_schedule["sequin-poll"].assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceArn"] == "arn:aws:scheduler:us-east-2:123456789012:schedule-group/tributary"
    error_message = "any schedule may use the role"
  }
  assert {
    condition = { for name, alarm in merge(aws_cloudwatch_metric_alarm.poll, aws_cloudwatch_metric_alarm.poll_count) : name => alarm.threshold } == {
      sequin-poll-errors = 3, sequin-poll-throttles = 1, sequin-poll-duration = 48000, sequin-poll-dead = 1, sequin-poll-overdue = 900
    }
    error_message = "an alarm is missing, or at another threshold"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.poll_count["sequin-poll-overdue"].treat_missing_data == "breaching"
    error_message = "ticks that stay away are no alarm"
  }
  assert {
    condition = (
      !strcontains(aws_cloudwatch_dashboard.all[0].dashboard_body, "airtable-poll")
      && !strcontains(aws_cloudwatch_dashboard.all[0].dashboard_body, "dynamodb-stream")
      && strcontains(jsondecode(aws_cloudwatch_dashboard.all[0].dashboard_body).widgets[8].properties.metrics[0][0].expression, "(FunctionName=\"tributary-sequin-poll\")")
      && startswith(reverse(jsondecode(aws_cloudwatch_dashboard.all[0].dashboard_body).widgets)[0].properties.query, "SOURCE '/aws/lambda/tributary-sequin-poll' | fields")
    )
    error_message = "the dashboard has what is not there, or not what is"
  }
}

run "odk_and_its_bucket" {
  variables {
    odk_poll           = true
    odk_bucket         = "pictures"
    odk_bucket_key_arn = "arn:aws:kms:us-east-2:123456789012:key/0"
    odk_storage        = 2048
    odk_timeout        = 900
  }
  assert {
    condition = (
      keys(aws_lambda_function.poll) == ["odk-poll"]
      && aws_lambda_function.poll["odk-poll"].timeout == 900
      && aws_lambda_function.poll["odk-poll"].ephemeral_storage[0].size == 2048
      && aws_scheduler_schedule.poll["odk-poll"].schedule_expression == "rate(1 minute)"
      && aws_cloudwatch_metric_alarm.poll["odk-poll-duration"].threshold == 720000
    )
    error_message = "the function doesn't hear of a parameter"
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.poll["odk-poll"].policy).Statement : [statement.Sid, statement.Resource[0]]] == [
      ["Log", "arn:aws:logs:us-east-2:123456789012:log-group:/aws/lambda/tributary-odk-poll:*"],
      ["Failures", "arn:aws:sqs:us-east-2:123456789012:failures"],
      ["Bucket", "arn:aws:s3:::pictures/*"],
      ["BucketKey", "arn:aws:kms:us-east-2:123456789012:key/0"],
    ]
    error_message = "the function may more, or less, than what it is asked for"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.poll["odk-poll"].policy).Statement[2].Action == ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    error_message = "the function may list or delete, or cannot look"
  }
}

run "with_everything" {
  variables {
    name                         = "prod"
    dynamodb_stream              = true
    stream_arns                  = ["arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2026-01-01T00:00:00.000"]
    sequin_poll                  = true
    airtable_poll                = true
    odk_poll                     = true
    odk_bucket                   = "pictures"
    odk_rate                     = "rate(10 minutes)"
    sequin_rate                  = "rate(5 minutes)"
    airtable_rate                = "cron(0 * * * ? *)"
    airtable_timeout             = 300
    airtable_requests_per_second = 2
    poll_enabled                 = false
    poll_retry_attempts          = 2
    poll_reserved_concurrency    = 1
    database_host                = "warehouse.proxy-abc.us-east-2.rds.amazonaws.com"
    database_proxy               = true
    secret_arns                  = ["arn:aws:secretsmanager:us-east-2:123456789012:secret:prod/sequin-AbCdEf"]
    subnet_ids                   = ["subnet-1"]
    security_group_ids           = ["sg-1"]
    alarm_topic_arn              = "arn:aws:sns:us-east-2:123456789012:alarms"
  }
  assert {
    condition     = { for name, schedule in aws_scheduler_schedule.poll : name => "${schedule.state} ${schedule.schedule_expression}" } == { sequin-poll = "DISABLED rate(5 minutes)", airtable-poll = "DISABLED cron(0 * * * ? *)", odk-poll = "DISABLED rate(10 minutes)" }
    error_message = "each has its rate, and a pause is one"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.poll_count["sequin-poll-overdue"].treat_missing_data == "notBreaching"
    error_message = "a pause is no alarm"
  }
  assert {
    condition     = alltrue([for config in aws_lambda_function_event_invoke_config.poll : config.maximum_retry_attempts == 2 && config.maximum_event_age_in_seconds == 3600])
    error_message = "retries that have no time"
  }
  assert {
    condition = (
      aws_lambda_function.poll["airtable-poll"].environment[0].variables["TRIBUTARY_AIRTABLE_RATE"] == "2"
      && alltrue([for function in concat(values(aws_lambda_function.poll), aws_lambda_function.dynamodb_stream) :
        function.environment[0].variables["TRIBUTARY_DATABASE_HOST"] == "warehouse.proxy-abc.us-east-2.rds.amazonaws.com"
      && function.environment[0].variables["TRIBUTARY_DATABASE_PROXY"] == "true"])
    )
    error_message = "the functions don't hear of a parameter"
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.poll["airtable-poll"].policy).Statement : statement.Sid] == [
      "Log", "Failures", "Secrets", "Network", "NetworkList", "NetworkNotByCode",
    ]
    error_message = "a parameter brought no statement, or a statement came without one"
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.poll) + length(aws_cloudwatch_metric_alarm.poll_count) == 15 && aws_cloudwatch_metric_alarm.poll["airtable-poll-duration"].threshold == 240000
    error_message = "each function has its alarms"
  }
  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.poll), values(aws_cloudwatch_metric_alarm.poll_count), aws_cloudwatch_metric_alarm.poll_undelivered) :
      alarm.alarm_actions == toset(["arn:aws:sns:us-east-2:123456789012:alarms"])
    ])
    error_message = "an alarm that tells nobody"
  }
}

run "two_places_of_the_database" {
  command = plan
  variables {
    database_host = "db.example.org"
    database_url  = "postgres://db.example.org/app"
  }
  expect_failures = [var.database_host]
}
