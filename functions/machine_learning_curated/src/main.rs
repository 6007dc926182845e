//! The Lambda function `machine_learning_curated`: see the library for what it does.

use machine_learning_curated::MachineLearningCurated;

#[tokio::main]
async fn main() -> Result<(), store::BoxError> {
    runtime::lambda::run(MachineLearningCurated::new).await
}
