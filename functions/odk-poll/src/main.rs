//! The Lambda function that polls ODK Central. Everything it does is in [`tributary_runtime::function`].

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tributary_runtime::function::odk_poll().await
}
