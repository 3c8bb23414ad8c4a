# The role of the function. Why each statement is there: ../../functions/dynamodb-stream/README.md, Permissions.

resource "aws_iam_role" "dynamodb_stream" {
  count              = var.dynamodb_stream ? 1 : 0
  name_prefix        = "${substr(local.dynamodb_stream_name, 0, 37)}-"
  assume_role_policy = data.aws_iam_policy_document.lambda.json
}

resource "aws_iam_role_policy" "dynamodb_stream" {
  count  = var.dynamodb_stream ? 1 : 0
  name   = "dynamodb-stream"
  role   = aws_iam_role.dynamodb_stream[0].id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.dynamodb_stream_statements })
}

locals {
  dynamodb_stream_statements = concat(
    [
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/lambda/${local.dynamodb_stream_name}:*"]
      },
      {
        Sid      = "Streams"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
        Resource = var.stream_arns
      },
    ],
    [for allowed in [var.allow_backfill] : {
      Sid    = "Backfill"
      Effect = "Allow"
      Action = ["dynamodb:DescribeTable", "dynamodb:Scan"]
      # The ARN of a stream is that of its table, `/stream/` and a label.
      Resource = [for arn in var.stream_arns : split("/stream/", arn)[0]]
    } if allowed],
    [for key in [var.table_key_arn] : {
      Sid       = "TableKey"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = [key]
      Condition = { StringEquals = { "kms:ViaService" = "dynamodb.${local.region}.${local.suffix}" } }
    } if key != null],
    local.sink_statements,
    flatten([for bucket in [var.on_failure_bucket] : [
      { Sid = "OnFailure", Effect = "Allow", Action = ["s3:PutObject"], Resource = ["arn:${local.partition}:s3:::${bucket}/*"] },
      { Sid = "OnFailureBucket", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:${local.partition}:s3:::${bucket}"] },
    ] if bucket != null]),
    [for queue in [var.on_failure_queue_arn] : {
      Sid      = "OnFailureQueue"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = [queue]
    } if queue != null],
    local.network_statements,
  )
}
