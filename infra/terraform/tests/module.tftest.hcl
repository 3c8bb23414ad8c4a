# What a plan makes of the variables, without AWS. `infra/check` runs it, and puts something that passes for a zip into
# `tests/package`.

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
    defaults = { arn = "arn:aws:sqs:us-east-2:123456789012:mock" }
  }
  mock_resource "aws_scheduler_schedule_group" {
    defaults = { arn = "arn:aws:scheduler:us-east-2:123456789012:schedule-group/mock" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:us-east-2:123456789012:function:mock" }
  }
}

variables {
  package_folder = "./tests/package"
  stream_arns    = ["arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2026-01-01T00:00:00.000"]
}

run "as_it_comes" {
  assert {
    condition     = aws_lambda_function.dynamodb_stream[0].architectures == tolist(["arm64"])
    error_message = "arm64 is the default"
  }
  assert {
    condition = alltrue([
      for source in aws_lambda_event_source_mapping.dynamodb_stream :
      source.starting_position == "TRIM_HORIZON"
      && source.function_response_types == toset(["ReportBatchItemFailures"])
      && source.bisect_batch_on_function_error
      && source.maximum_retry_attempts == -1
      && source.maximum_record_age_in_seconds == -1
      && length(source.destination_config) == 0
    ])
    error_message = "a stream is read from its beginning and nothing is given up"
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.dynamodb_stream[0].policy).Statement : statement.Sid] == [
      "Log", "Streams", "Backfill",
    ]
    error_message = "the role may more, or less, than what it is asked for"
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.dynamodb_stream[0].policy).Statement : statement.Resource] == [
      ["arn:aws:logs:us-east-2:123456789012:log-group:/aws/lambda/tributary-dynamodb-stream:*"],
      ["arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2026-01-01T00:00:00.000"],
      ["arn:aws:dynamodb:us-east-2:123456789012:table/users"],
    ]
    error_message = "a statement is wider than its log, its stream or its table"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.dynamodb_stream["iterator-age"].threshold == 43200000
    error_message = "the alarm is at 12 hours"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.dynamodb_stream["duration"].threshold == 48000
    error_message = "the alarm is at four fifths of the timeout"
  }
  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.all[0].dashboard_body).widgets) > 5
    error_message = "the dashboard is no JSON or has nothing on it"
  }
  assert {
    condition     = length(aws_lambda_function.dynamodb_stream[0].vpc_config) == 0
    error_message = "a VPC that nobody asked for"
  }
}

run "with_everything" {
  variables {
    name = "prod"
    stream_arns = [
      "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2026-01-01T00:00:00.000",
      "arn:aws:dynamodb:us-east-2:123456789012:table/orders/stream/2026-01-02T00:00:00.000",
    ]
    secret_arns           = ["arn:aws:secretsmanager:us-east-2:123456789012:secret:prod/warehouse-AbCdEf"]
    secret_key_arn        = "arn:aws:kms:us-east-2:123456789012:key/11111111-2222-3333-4444-555555555555"
    table_key_arn         = "arn:aws:kms:us-east-2:123456789012:key/66666666-2222-3333-4444-555555555555"
    database_user_arn     = "arn:aws:rds-db:us-east-2:123456789012:dbuser:prx-ABC/tributary_sync"
    subnet_ids            = ["subnet-1", "subnet-2"]
    security_group_ids    = ["sg-1"]
    stream_filter_pattern = "{\"eventName\":[\"INSERT\"]}"
    stream_retry_attempts = 100
    on_failure_bucket     = "failures"
    allow_backfill        = false
    alarm_topic_arn       = "arn:aws:sns:us-east-2:123456789012:alarms"
    architecture          = "x86_64"
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.dynamodb_stream[0].policy).Statement : statement.Sid] == [
      "Log", "Streams", "TableKey", "Secrets", "SecretKey", "Database", "OnFailure", "OnFailureBucket", "Network", "NetworkList",
      "NetworkNotByCode",
    ]
    error_message = "a parameter brought no statement, or a statement came without one"
  }
  assert {
    condition = alltrue([
      for source in aws_lambda_event_source_mapping.dynamodb_stream :
      source.destination_config[0].on_failure[0].destination_arn == "arn:aws:s3:::failures" && length(source.filter_criteria) == 1
    ])
    error_message = "the bucket or the filter did not arrive"
  }
  assert {
    condition     = length(aws_lambda_event_source_mapping.dynamodb_stream) == 2 && length(aws_cloudwatch_metric_alarm.dynamodb_stream_dropped) == 2
    error_message = "each stream has a trigger and an alarm"
  }
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.dynamodb_stream_given_up : alarm.metric_name == "OnFailureDestinationDeliveredEventCount"
    ]) && length(aws_cloudwatch_metric_alarm.dynamodb_stream_given_up) == 2
    error_message = "what a destination gets is not counted as dropped, and nobody hears of it"
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.dynamodb_stream : alarm.alarm_actions == toset(["arn:aws:sns:us-east-2:123456789012:alarms"])])
    error_message = "an alarm that tells nobody"
  }
}

run "given_up_to_a_queue" {
  variables {
    stream_record_age    = 3600
    on_failure_queue_arn = "arn:aws:sqs:us-east-2:123456789012:given-up"
  }
  assert {
    condition = alltrue([
      for source in aws_lambda_event_source_mapping.dynamodb_stream :
      source.destination_config[0].on_failure[0].destination_arn == "arn:aws:sqs:us-east-2:123456789012:given-up"
    ])
    error_message = "the queue did not arrive"
  }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.dynamodb_stream[0].policy).Statement : statement.Resource if statement.Sid == "OnFailureQueue"
    ] == [["arn:aws:sqs:us-east-2:123456789012:given-up"]]
    error_message = "Lambda may not send to the queue, or to another one too"
  }
}

run "switched_off" {
  variables {
    dynamodb_stream = false
    stream_arns     = []
    dashboard       = false
  }
  assert {
    condition     = length(aws_lambda_function.dynamodb_stream) + length(aws_iam_role.dynamodb_stream) + length(aws_cloudwatch_metric_alarm.dynamodb_stream) + length(aws_cloudwatch_dashboard.all) == 0
    error_message = "something is left of a function that is switched off"
  }
}

run "no_stream" {
  command = plan
  variables {
    stream_arns = []
  }
  expect_failures = [var.stream_arns]
}

run "given_up_to_nobody" {
  command = plan
  variables {
    stream_record_age = 3600
  }
  expect_failures = [var.on_failure_bucket]
}

run "given_up_to_two_places" {
  command = plan
  variables {
    on_failure_bucket    = "failures"
    on_failure_queue_arn = "arn:aws:sqs:us-east-2:123456789012:given-up"
  }
  expect_failures = [var.on_failure_bucket]
}

run "subnets_alone" {
  command = plan
  variables {
    subnet_ids = ["subnet-1"]
  }
  expect_failures = [var.security_group_ids]
}

run "any_user_of_any_database" {
  command = plan
  variables {
    database_user_arn = "arn:aws:rds-db:us-east-2:123456789012:dbuser:*/*"
  }
  expect_failures = [var.database_user_arn]
}
