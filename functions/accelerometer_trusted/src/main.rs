//! The Lambda function `accelerometer_trusted`: see the library for what it does.

use accelerometer_trusted::AccelerometerTrusted;

#[tokio::main]
async fn main() -> Result<(), aws::BoxError> {
    aws::lambda::run(AccelerometerTrusted::new).await
}
