//! The Lambda function behind a URL that takes webhooks, and behind the queue that they may go by. Everything it does is
//! in [`tributary_runtime::function`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tributary_runtime::function::webhook().await
}
