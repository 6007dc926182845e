//! The operations on work groups, which set the location of results and limit the bytes that a query reads.

use super::Inner;
use super::clock::seconds;
use super::documents::{Documents, page};
use super::execution::ENGINE_VERSION;
use super::fault::Fault;
use super::location::{self, RESULTS};
use super::{page_length, with_next_token, without_nulls};
use emulator_client::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The work group that always exists.
pub(super) const PRIMARY: &str = "primary";

const GROUPS_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 128;
const DESCRIPTION_BYTES_MAX: usize = 1024;
/// The lowest limit of bytes, as on AWS.
const SCANNED_BYTES_MIN: u64 = 10_000_000;

/// A work group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) name: String,
    description: String,
    is_enabled: bool,
    pub(super) output_location: Option<String>,
    /// Whether its location overrides that of a call.
    pub(super) enforced: bool,
    pub(super) scanned_bytes_max: Option<u64>,
    created_ms: i64,
}

/// The configuration of a new work group, or the changes of an old one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Configuration {
    #[serde(alias = "ResultConfigurationUpdates")]
    result_configuration: Option<ResultConfiguration>,
    enforce_work_group_configuration: Option<bool>,
    bytes_scanned_cutoff_per_query: Option<u64>,
    remove_bytes_scanned_cutoff_per_query: Option<bool>,
    engine_version: Option<EngineVersion>,
    #[expect(dead_code, reason = "known, and of no effect here")]
    publish_cloud_watch_metrics_enabled: Option<bool>,
    #[expect(dead_code, reason = "known, and of no effect here")]
    requester_pays_enabled: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ResultConfiguration {
    output_location: Option<String>,
    remove_output_location: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EngineVersion {
    selected_engine_version: Option<String>,
    #[expect(dead_code, reason = "clients send back the field of an answer")]
    effective_engine_version: Option<String>,
}

impl Group {
    pub(super) fn check_enabled(&self) -> Result<(), Fault> {
        match self.is_enabled {
            true => Ok(()),
            false => Err(Fault::invalid(format!("WorkGroup {} is disabled", self.name))),
        }
    }

    fn summary(&self) -> Value {
        json!({
            "Name": self.name, "State": if self.is_enabled { "ENABLED" } else { "DISABLED" },
            "Description": self.description, "CreationTime": seconds(self.created_ms), "EngineVersion": engine_version(),
        })
    }

    fn to_json(&self) -> Value {
        let mut shown = self.summary();
        let version = shown["EngineVersion"].take();
        shown["Configuration"] = json!({
            "ResultConfiguration": {"OutputLocation": self.output_location},
            "EnforceWorkGroupConfiguration": self.enforced, "PublishCloudWatchMetricsEnabled": false,
            "RequesterPaysEnabled": false, "EngineVersion": version,
            "BytesScannedCutoffPerQuery": self.scanned_bytes_max,
        });
        without_nulls(shown)
    }

    /// Changes what the parameters of a call name.
    fn change(&mut self, description: Option<String>, configuration: Option<Configuration>) -> Result<(), Fault> {
        if let Some(description) = description {
            if description.len() > DESCRIPTION_BYTES_MAX {
                return Err(Fault::invalid(format!("Description is longer than {DESCRIPTION_BYTES_MAX} bytes")));
            }
            self.description = description;
        }
        let configuration = configuration.unwrap_or_default();
        let version = configuration.engine_version.and_then(|version| version.selected_engine_version);
        if let Some(other) = version.filter(|version| !matches!(version.as_str(), "AUTO" | ENGINE_VERSION)) {
            let message = format!("engine version {other:?} does not exist: expected {ENGINE_VERSION}");
            return Err(Fault::invalid(message));
        }
        self.enforced = configuration.enforce_work_group_configuration.unwrap_or(self.enforced);
        if configuration.remove_bytes_scanned_cutoff_per_query == Some(true) {
            self.scanned_bytes_max = None;
        }
        if let Some(bytes) = configuration.bytes_scanned_cutoff_per_query {
            if bytes < SCANNED_BYTES_MIN {
                let message = format!("BytesScannedCutoffPerQuery is {bytes}, expected at least {SCANNED_BYTES_MIN}");
                return Err(Fault::invalid(message));
            }
            self.scanned_bytes_max = Some(bytes);
        }
        if let Some(results) = configuration.result_configuration {
            if results.remove_output_location == Some(true) {
                self.output_location = None;
            }
            self.output_location = results.output_location.or(self.output_location.take());
        }
        Ok(())
    }
}

fn engine_version() -> Value {
    json!({"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": ENGINE_VERSION})
}

pub(super) fn check_name(name: &str) -> Result<(), Fault> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(is_name) {
        true => Ok(()),
        false => {
            Err(Fault::invalid(format!("{name:?} is not the name of a work group: expected [a-zA-Z0-9._-]{{1,128}}")))
        }
    }
}

impl Inner {
    fn groups(&self) -> Documents {
        Documents::new(self.store.clone(), &self.settings.bucket, "athena/work_groups/".to_owned(), 2 * GROUPS_MAX)
    }

    fn primary(&self) -> Group {
        Group {
            name: PRIMARY.to_owned(),
            description: String::new(),
            is_enabled: true,
            output_location: Some(format!("s3://{}/{RESULTS}", self.settings.bucket)),
            enforced: false,
            scanned_bytes_max: None,
            created_ms: 0,
        }
    }

    async fn find(&self, name: &str) -> Result<(Group, Version), Fault> {
        check_name(name)?;
        match self.groups().get(name).await? {
            Some(found) => Ok(found),
            None if name == PRIMARY => Ok((self.primary(), Version::Absent)),
            None => Err(Fault::coded("WORKGROUP_NOT_FOUND", format!("WorkGroup {name} is not found."))),
        }
    }

    /// Reads a work group.
    pub(super) async fn group(&self, name: &str) -> Result<Group, Fault> {
        Ok(self.find(name).await?.0)
    }

    async fn group_names(&self) -> Result<Vec<String>, Fault> {
        let mut names = self.groups().names().await?;
        if !names.iter().any(|name| name == PRIMARY) {
            names.push(PRIMARY.to_owned());
        }
        Ok(names)
    }

    /// Checks the location of a group's results.
    fn check_location(&self, group: &Group) -> Result<(), Fault> {
        if let Some(location) = &group.output_location {
            location::folder(location, &self.settings.bucket, self.engine.protected())?;
        }
        Ok(())
    }

    pub(super) async fn list_work_groups(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { next_token: Option<String>, max_results: Option<u32> });
        let length = page_length(max_results, 50)?;
        let (names, next) = page(self.group_names().await?, |name| name, next_token.as_deref(), length);
        let mut groups = Vec::new();
        for name in names {
            groups.push(self.group(&name).await?.summary());
        }
        Ok(with_next_token(json!({"WorkGroups": groups}), next))
    }

    pub(super) async fn get_work_group(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { work_group: String });
        Ok(json!({"WorkGroup": self.group(&work_group).await?.to_json()}))
    }

    pub(super) async fn create_work_group(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { name: String, configuration: Option<Configuration>, description: Option<String> });
        check_name(&name)?;
        if self.group_names().await?.len() >= GROUPS_MAX {
            return Err(Fault::invalid(format!("there are {GROUPS_MAX} work groups, which is the most")));
        }
        let created_ms = (self.settings.clock)();
        let mut group = Group { name, output_location: None, enforced: true, created_ms, ..self.primary() };
        group.change(description, configuration)?;
        self.check_location(&group)?;
        if group.name == PRIMARY || !self.groups().put(&group.name, &group, &Version::Absent).await? {
            return Err(Fault::invalid(format!("WorkGroup {} is already created", group.name)));
        }
        Ok(json!({}))
    }

    pub(super) async fn update_work_group(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, {
            work_group: String, description: Option<String>, state: Option<String>,
            configuration_updates: Option<Configuration>
        });
        let (mut group, version) = self.find(&work_group).await?;
        group.is_enabled = match state.as_deref() {
            None => group.is_enabled,
            Some("ENABLED") => true,
            Some("DISABLED") => false,
            Some(other) => return Err(Fault::invalid(format!("State is {other}, expected ENABLED or DISABLED"))),
        };
        group.change(description, configuration_updates)?;
        self.check_location(&group)?;
        match self.groups().put(&group.name, &group, &version).await? {
            true => Ok(json!({})),
            false => Err(Fault::invalid(format!("WorkGroup {} is being changed by another call", group.name))),
        }
    }

    pub(super) async fn delete_work_group(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, { work_group: String, recursive_delete_option: Option<bool> });
        let group = self.group(&work_group).await?;
        if group.name == PRIMARY {
            return Err(Fault::invalid("WorkGroup primary cannot be deleted"));
        }
        let is_empty = self.remove_saved(&group.name, recursive_delete_option == Some(true)).await?;
        if !is_empty {
            let message = format!(
                "WorkGroup {} is not empty: give RecursiveDeleteOption to delete its saved queries, too",
                group.name
            );
            return Err(Fault::invalid(message));
        }
        self.groups().remove(&group.name).await?;
        Ok(json!({}))
    }

    /// Clients that manage work groups read their tags. Tags cannot be set, so there are none.
    pub(super) async fn list_tags(&self, body: &[u8]) -> Result<Value, Fault> {
        parameters!(body, {
            #[serde(rename = "ResourceARN")] arn: String; unused next_token: Option<String>, max_results: Option<u32>
        });
        let prefix = format!("arn:aws:athena:{}:000000000000:workgroup/", self.settings.region);
        let name = arn
            .strip_prefix(&prefix)
            .ok_or_else(|| Fault::invalid(format!("{arn:?} is not an ARN of a work group: expected {prefix}NAME")))?;
        self.group(name).await.map_err(|_| Fault::missing(&arn, format!("{arn} was not found")))?;
        Ok(json!({"Tags": []}))
    }
}
