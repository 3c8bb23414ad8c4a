# The roles of the functions that poll, and of their schedules. Why each statement is there: ../../functions/*-poll/README.md,
# Permissions.

locals {
  # For the files of submissions.
  bucket_statements = concat(
    [for bucket in [var.odk_bucket] : {
      Sid      = "Bucket"
      Effect   = "Allow"
      Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
      Resource = ["arn:${local.partition}:s3:::${bucket}/*"]
    } if bucket != null],
    [for key in [var.odk_bucket_key_arn] : {
      Sid      = "BucketKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = [key]
      # A bucket is of one region, and the key is in that one too.
      Condition = { StringLike = { "kms:ViaService" = "s3.*.${local.suffix}" } }
    } if key != null],
  )
}

resource "aws_iam_role" "poll" {
  for_each           = local.polls
  name_prefix        = "${substr("${var.name}-${each.key}", 0, 37)}-"
  assume_role_policy = data.aws_iam_policy_document.lambda.json
}

resource "aws_iam_role_policy" "poll" {
  for_each = local.polls
  name     = each.key
  role     = aws_iam_role.poll[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "Log"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/lambda/${var.name}-${each.key}:*"]
        },
        {
          Sid      = "Failures"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = [aws_sqs_queue.poll_failures[0].arn]
        },
      ],
      [for statement in local.bucket_statements : statement if each.key == "odk-poll"],
      local.sink_statements,
      local.network_statements,
    )
  })
}

# What the scheduler is for a tick: it may invoke this one function, and say that it could not.
resource "aws_iam_role" "poll_schedule" {
  for_each    = local.polls
  name_prefix = "${substr("${var.name}-${each.key}-tick", 0, 37)}-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      # A schedule of somebody else's must not use it.
      Condition = { StringEquals = { "aws:SourceAccount" = local.account, "aws:SourceArn" = aws_scheduler_schedule_group.polls[0].arn } }
    }]
  })
}

resource "aws_iam_role_policy" "poll_schedule" {
  for_each = local.polls
  name     = "tick"
  role     = aws_iam_role.poll_schedule[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Tick", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = [aws_lambda_function.poll[each.key].arn] },
      { Sid = "Failures", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [aws_sqs_queue.poll_failures[0].arn] },
    ]
  })
}
