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

output "poll_function_names" {
  description = "The functions that poll; invoke one for a tick out of turn."
  value       = { for name, function in aws_lambda_function.poll : name => function.function_name }
}

output "poll_role_arns" {
  description = "Their roles; for a key policy that names them."
  value       = { for name, role in aws_iam_role.poll : name => role.arn }
}

output "poll_failures_url" {
  description = "The queue of ticks that failed or could not be delivered."
  value       = one(aws_sqs_queue.poll_failures[*].url)
}

output "webhook_url" {
  description = "What senders post to, followed by `/hooks/` and the name of a hook."
  value       = one(aws_apigatewayv2_api.webhook[*].api_endpoint)
}

output "webhook_role_arn" {
  description = "The role of the function that takes webhooks; for a key policy or a bucket policy that names it."
  value       = one(aws_iam_role.webhook[*].arn)
}
