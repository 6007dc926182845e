//! A lake for commands that only ask: opened, or, while a `stedi up` has it, reached over HTTP.

use crate::address;
use crate::args::At;
use crate::stack::Stack;
use crate::up::access_key;
use emulator::{Cloud, OpenError};
use emulator_client::Clients;
use model::lake_config::LakeConfig;
use std::path::PathBuf;
use store::BoxError;
use store::lake::Lake;
use store::lake::{DATABASE, LakeSettings};

/// There is no lake.
#[derive(Debug, thiserror::Error)]
#[error("no lake in {}: `stedi run` makes one", .0.display())]
struct NoLake(PathBuf);

/// A lake that can be read.
pub(crate) struct Reached {
    pub lake: Lake,
    pub clients: Clients,
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
    let config = LakeConfig::default();
    let in_use = match Stack::open(at, config) {
        Ok(Stack { lake, clients, cloud, .. }) => return Ok(Reached { lake, clients, _cloud: Some(cloud) }),
        Err(error) => error,
    };
    if !matches!(in_use.downcast_ref(), Some(OpenError::InUse(_))) {
        return Err(in_use);
    }
    let Some(url) = address::find(&at.lake)? else { return Err(in_use) };
    let settings = LakeSettings { lake_bucket: at.bucket.clone(), config, database: DATABASE.to_owned() };
    let sdk = store::connect::config_at(&url, emulator::REGION, &access_key()).await;
    let (lake, clients) = (store::connect::with(&sdk, &settings), Clients::new(&sdk));
    Ok(Reached { lake, clients, _cloud: None })
}
