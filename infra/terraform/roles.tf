# What the roles of all functions have in common. Why each statement is there: ../../functions/*/README.md, Permissions.

data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

locals {
  # What a function may for its sink and its source's token.
  sink_statements = concat(
    [for arns in [var.secret_arns] : {
      Sid      = "Secrets"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = arns
    } if length(arns) > 0],
    [for key in [var.secret_key_arn] : {
      Sid      = "SecretKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = [key]
      # A secret's ARN has its region, which may be another; the key is in that one too.
      Condition = { StringLike = { "kms:ViaService" = "secretsmanager.*.${local.suffix}" } }
    } if key != null],
    [for user in [var.database_user_arn] : {
      Sid      = "Database"
      Effect   = "Allow"
      Action   = ["rds-db:connect"]
      Resource = [user]
    } if user != null],
  )

  # For Lambda, which makes a function's network interface with the function's role.
  network_statements = flatten([for inside in [local.in_vpc] : [
    {
      Sid    = "Network"
      Effect = "Allow"
      Action = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:UnassignPrivateIpAddresses",
      ]
      Resource = ["arn:${local.partition}:ec2:${local.region}:${local.account}:*/*"]
    },
    # These two know no narrower resource.
    {
      Sid      = "NetworkList"
      Effect   = "Allow"
      Action   = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
      Resource = ["*"]
    },
    # Our code has no use for any of it.
    {
      Sid       = "NetworkNotByCode"
      Effect    = "Deny"
      Action    = ["ec2:*"]
      Resource  = ["*"]
      Condition = { ArnLike = { "lambda:SourceFunctionArn" = "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${var.name}-*" } }
    },
  ] if inside])
}
