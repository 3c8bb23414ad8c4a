# What holds for all functions. The one behind a stream has a file of its own, `dynamodb_stream.tf`; those that poll are in
# `polls.tf`, the one that takes webhooks in `webhook.tf`. Their roles' common part is in `roles.tf`.

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  partition = data.aws_partition.here.partition
  region    = data.aws_region.here.name
  account   = data.aws_caller_identity.here.account_id
  suffix    = data.aws_partition.here.dns_suffix
  in_vpc    = length(var.subnet_ids) > 0
  topics    = var.alarm_topic_arn == null ? [] : [var.alarm_topic_arn]

  functions = concat(var.dynamodb_stream ? ["dynamodb-stream"] : [], keys(local.polls), var.webhook ? ["webhook"] : [])

  environment = merge(
    { TRIBUTARY_MAPPING = var.mapping_file, TRIBUTARY_LOG = var.log_level },
    var.database_host == null ? {} : { TRIBUTARY_DATABASE_HOST = var.database_host },
    var.database_proxy == null ? {} : { TRIBUTARY_DATABASE_PROXY = tostring(var.database_proxy) },
    var.database_url == null ? {} : { DATABASE_URL = var.database_url },
  )
}

resource "aws_cloudwatch_dashboard" "all" {
  count          = var.dashboard && length(local.functions) > 0 ? 1 : 0
  dashboard_name = var.name
  dashboard_body = templatefile("${path.module}/../dashboard.json", {
    Region = local.region
    Name   = var.name
    # Only what is there: a log group that isn't would be an error.
    Functions = join(" OR ", [for name in local.functions : "FunctionName=\\\"${var.name}-${name}\\\""])
    Logs      = join(" | ", [for name in local.functions : "SOURCE '/aws/lambda/${var.name}-${name}'"])
  })
}
