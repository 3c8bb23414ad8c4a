# What holds for all functions. A function has a file of its own, `dynamodb_stream.tf`; a further one is a further file.

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

  environment = merge(
    { TRIBUTARY_MAPPING = var.mapping_file, TRIBUTARY_LOG = var.log_level },
    var.database_url == null ? {} : { DATABASE_URL = var.database_url },
  )
}

data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_cloudwatch_dashboard" "all" {
  count          = var.dashboard ? 1 : 0
  dashboard_name = var.name
  dashboard_body = templatefile("${path.module}/../dashboard.json", {
    Region             = local.region
    DynamodbStreamName = local.dynamodb_stream_name
  })
}
