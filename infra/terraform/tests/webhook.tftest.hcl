# What a plan makes of the variables of the function that takes webhooks, without AWS.

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
  mock_resource "aws_apigatewayv2_api" {
    defaults = { execution_arn = "arn:aws:execute-api:us-east-2:123456789012:mock" }
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
    condition     = length(aws_lambda_function.webhook) + length(aws_apigatewayv2_api.webhook) + length(aws_sqs_queue.webhook) == 0
    error_message = "something is there that nobody asked for"
  }
}

run "direct" {
  variables {
    webhook            = true
    airtable_poll      = true
    webhook_rate_limit = 7
  }
  assert {
    condition     = aws_apigatewayv2_route.webhook[0].route_key == "ANY /hooks/{hook}" && aws_apigatewayv2_integration.webhook[0].payload_format_version == "2.0"
    error_message = "the API leads elsewhere"
  }
  assert {
    condition     = aws_apigatewayv2_stage.webhook[0].default_route_settings[0].throttling_rate_limit == 7
    error_message = "nothing throttles"
  }
  assert {
    condition     = aws_lambda_function.webhook[0].environment[0].variables.TRIBUTARY_POLL_FUNCTIONS == "airtable=tributary-airtable-poll"
    error_message = "the function doesn't know who polls"
  }
  assert {
    condition     = length(aws_sqs_queue.webhook) == 0 && length(aws_lambda_event_source_mapping.webhook) == 0
    error_message = "there is a queue that nobody asked for"
  }
}

run "by_a_queue" {
  variables {
    webhook         = true
    webhook_queue   = true
    webhook_timeout = 60
    webhook_workers = 3
    webhook_bucket  = "large"
  }
  assert {
    condition     = aws_sqs_queue.webhook[0].visibility_timeout_seconds == 360
    error_message = "messages show again while they are worked on"
  }
  assert {
    condition     = one(aws_lambda_event_source_mapping.webhook[0].scaling_config).maximum_concurrency == 3 && contains(aws_lambda_event_source_mapping.webhook[0].function_response_types, "ReportBatchItemFailures")
    error_message = "the worker is another"
  }
  assert {
    condition     = strcontains(aws_iam_role_policy.webhook[0].policy, "arn:aws:s3:::large/hooks/*") && !strcontains(aws_iam_role_policy.webhook[0].policy, "lambda:InvokeFunction")
    error_message = "the role may too much or too little"
  }
}
