//! A lake for commands that only ask: opened, or, while a `stedi up` has it, reached over HTTP.

use crate::address;
use crate::args::At;
use crate::stack::Stack;
use crate::up::access_key;
use aws::BoxError;
use aws::lake::Lake;
use aws::settings::{DATABASE, Settings};
use lake::policy::Charter;
use local::{Cloud, OpenError};
use std::path::PathBuf;

/// There is no lake.
#[derive(Debug, thiserror::Error)]
#[error("no lake in {}: `stedi run` makes one", .0.display())]
struct NoLake(PathBuf);

/// A lake that can be read.
pub(crate) struct Reached {
    pub lake: Lake,
    /// Kept as long as the lake is read, if it was opened here.
    _cloud: Option<Cloud>,
}

/// Opens the lake, or finds who has it open.
pub(crate) async fn reach(at: &At) -> Result<Reached, BoxError> {
    let folder = at.lake.join(&at.bucket);
    if !folder.is_dir() {
        return Err(NoLake(folder).into());
    }
    // What the lake was made with matters only to those who write.
    let charter = Charter::default();
    let in_use = match Stack::open(at, charter) {
        Ok(Stack { lake, cloud, .. }) => return Ok(Reached { lake, _cloud: Some(cloud) }),
        Err(error) => error,
    };
    if !matches!(in_use.downcast_ref(), Some(OpenError::InUse(_))) {
        return Err(in_use);
    }
    let Some(url) = address::find(&at.lake)? else { return Err(in_use) };
    let settings = Settings { lake_bucket: at.bucket.clone(), charter, database: DATABASE.to_owned() };
    let lake = aws::connect::at(&url, local::REGION, &access_key(), &settings).await;
    Ok(Reached { lake, _cloud: None })
}
