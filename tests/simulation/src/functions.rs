//! The five functions as one type, to be called by name.

use accelerometer_trusted::AccelerometerTrusted;
use customer_curated::CustomerCurated;
use customer_trusted::CustomerTrusted;
use ingest::{LIMITS, Limits};
use machine_learning_curated::MachineLearningCurated;
use model::table::Table;
use runtime::function::{Answer, invoke};
use serde_json::Value;
use std::time::Duration;
use step_trainer_trusted::StepTrainerTrusted;
use store::BoxError;
use store::lake::Lake;

/// One instance of one of the five functions, with the state that it keeps while it is warm.
pub enum AnyFunction {
    /// `customer_trusted`
    CustomerTrusted(CustomerTrusted),
    /// `accelerometer_trusted`
    AccelerometerTrusted(AccelerometerTrusted),
    /// `customer_curated`
    CustomerCurated(CustomerCurated),
    /// `step_trainer_trusted`
    StepTrainerTrusted(StepTrainerTrusted),
    /// `machine_learning_curated`
    MachineLearningCurated(MachineLearningCurated),
}

impl AnyFunction {
    /// A cold instance of the function that materializes `table`; none for landing tables.
    pub fn new(table: Table, lake: Lake) -> Option<Self> {
        Self::with_limits(table, lake, LIMITS)
    }

    /// Like [`Self::new`], with other limits of the index.
    pub fn with_limits(table: Table, lake: Lake, limits: Limits) -> Option<Self> {
        Some(match table {
            Table::CustomerTrusted => Self::CustomerTrusted(CustomerTrusted::new(lake)),
            Table::AccelerometerTrusted => Self::AccelerometerTrusted(AccelerometerTrusted::with_limits(lake, limits)),
            Table::CustomerCurated => Self::CustomerCurated(CustomerCurated::new(lake)),
            Table::StepTrainerTrusted => Self::StepTrainerTrusted(StepTrainerTrusted::with_limits(lake, limits)),
            Table::MachineLearningCurated => Self::MachineLearningCurated(MachineLearningCurated::new(lake)),
            Table::CustomerLanding | Table::AccelerometerLanding | Table::StepTrainerLanding => return None,
        })
    }

    /// Invokes it, as Lambda does. The invocation may take `time` if that is given.
    pub async fn invoke(&self, payload: &Value, time: Option<Duration>) -> Result<Answer, BoxError> {
        // Boxed, because the enum's future would be as large as the largest of the five.
        match self {
            Self::CustomerTrusted(function) => Box::pin(invoke(function, payload, time)).await,
            Self::AccelerometerTrusted(function) => Box::pin(invoke(function, payload, time)).await,
            Self::CustomerCurated(function) => Box::pin(invoke(function, payload, time)).await,
            Self::StepTrainerTrusted(function) => Box::pin(invoke(function, payload, time)).await,
            Self::MachineLearningCurated(function) => Box::pin(invoke(function, payload, time)).await,
        }
    }
}
