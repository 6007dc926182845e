//! A lake for commands that only read it: opened here, or reached over HTTP while a `stedi up` holds it.

use crate::args::LakeArgs;
use crate::stack::{Stack, StackError};
use crate::up::access_key;
use emulator::Cloud;
use emulator_client::Clients;
use model::hash::HashKey;
use model::lake_config::LakeConfig;
use model::layout::LAKE_CONFIG;
use std::path::PathBuf;
use store::BoxError;
use store::lake::{Lake, LakeSettings};

/// There is no lake.
#[derive(Debug, thiserror::Error)]
#[error("no lake in {}: `stedi run` makes one, --lake names another folder", .0.display())]
struct NoLake(PathBuf);

/// A lake that can be read.
pub(crate) struct LakeReader {
    pub lake: Lake,
    pub clients: Clients,
    /// Holds the lake's lock, if the lake was opened here.
    _cloud: Option<Cloud>,
}

impl LakeReader {
    /// Opens the lake for `command`, or connects to the `stedi up` that holds it.
    pub(crate) async fn open(args: &LakeArgs, command: &str) -> Result<Self, BoxError> {
        let folder = args.folder();
        // An empty folder, or the bucket of another S3 client, is not a lake yet.
        if !folder.join(LAKE_CONFIG).is_file() {
            return Err(NoLake(folder).into());
        }
        // Only functions depend on the lake's config and hash key, and a reader runs none.
        let (config, hash_key) = (LakeConfig::default(), HashKey::public());
        let error = match Stack::open(args, config, |_| Ok(hash_key.clone()), command) {
            Ok(Stack { lake, clients, cloud, .. }) => return Ok(Self { lake, clients, _cloud: Some(cloud) }),
            Err(error) => error,
        };
        let url = match error.downcast_ref() {
            Some(StackError::InUse { holder, .. }) => holder.url(),
            _ => None,
        };
        let Some(url) = url else { return Err(error) };
        let settings = LakeSettings::local(&args.bucket, config, hash_key);
        let sdk = store::connect::config_at(&url, emulator::REGION, &access_key()).await;
        let (lake, clients) = (store::connect::with(&sdk, &settings), Clients::new(&sdk));
        Ok(Self { lake, clients, _cloud: None })
    }
}
