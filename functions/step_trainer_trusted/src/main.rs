//! The Lambda function `step_trainer_trusted`: see the library for what it does.

use step_trainer_trusted::StepTrainerTrusted;

#[tokio::main]
async fn main() -> Result<(), store::BoxError> {
    runtime::lambda::run(StepTrainerTrusted::new).await
}
