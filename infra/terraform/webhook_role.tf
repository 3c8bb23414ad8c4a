# The role of the function that takes webhooks. Why each statement is there: ../../functions/webhook/README.md, Permissions.

resource "aws_iam_role" "webhook" {
  count              = local.webhook
  name_prefix        = "${substr("${var.name}-webhook", 0, 37)}-"
  assume_role_policy = data.aws_iam_policy_document.lambda.json
}

resource "aws_iam_role_policy" "webhook" {
  count = local.webhook
  name  = "webhook"
  role  = aws_iam_role.webhook[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/lambda/${var.name}-webhook:*"]
      }],
      [for queue in aws_sqs_queue.webhook : {
        Sid      = "Queue"
        Effect   = "Allow"
        Action   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"]
        Resource = [queue.arn]
      }],
      [for bucket in [var.webhook_bucket] : {
        Sid      = "Bucket"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = ["arn:${local.partition}:s3:::${bucket}/hooks/*"]
      } if bucket != null],
      [for arns in [[for function in aws_lambda_function.poll : function.arn]] : {
        Sid      = "Polls"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = arns
      } if length(local.polls) > 0],
      local.sink_statements,
      local.network_statements,
    )
  })
}
