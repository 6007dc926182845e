//! The Lambda function `customer_curated`: see the library for what it does.

use customer_curated::CustomerCurated;

#[tokio::main]
async fn main() -> Result<(), store::BoxError> {
    runtime::lambda::run(CustomerCurated::new).await
}
