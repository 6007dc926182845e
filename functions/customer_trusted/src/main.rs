//! The Lambda function `customer_trusted`: see the library for what it does.

use customer_trusted::CustomerTrusted;

#[tokio::main]
async fn main() -> Result<(), store::BoxError> {
    runtime::lambda::run(CustomerTrusted::new).await
}
