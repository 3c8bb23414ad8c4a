//! The Lambda function that polls Airtable. Everything it does is in [`tributary_runtime::function`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tributary_runtime::function::airtable_poll().await
}
