output "dynamodb_stream_function_name" {
  description = "The function of the DynamoDB streams; invoke it for a backfill."
  value       = one(aws_lambda_function.dynamodb_stream[*].function_name)
}

output "dynamodb_stream_function_arn" {
  description = "Its ARN."
  value       = one(aws_lambda_function.dynamodb_stream[*].arn)
}

output "dynamodb_stream_role_arn" {
  description = "The role of that function; for a key policy or a bucket policy that names it."
  value       = one(aws_iam_role.dynamodb_stream[*].arn)
}
