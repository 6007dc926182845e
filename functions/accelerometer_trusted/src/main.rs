//! The Lambda function `accelerometer_trusted`: see the library for what it does.

use accelerometer_trusted::AccelerometerTrusted;

#[tokio::main]
async fn main() -> Result<(), store::BoxError> {
    runtime::lambda::run(AccelerometerTrusted::new).await
}
