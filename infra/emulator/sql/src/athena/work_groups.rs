//! The operations on work groups, which set the location of results and limit the bytes that a query reads.

use super::Inner;
use super::clock::seconds;
use super::documents::{Documents, page};
use super::execution::ENGINE_VERSION;
use super::executions::with_next_token;
use super::fault::Fault;
use super::location::{self, RESULTS};
use super::page_length;
use emulator_client::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The work group that always exists.
pub(super) const PRIMARY: &str = "primary";

const GROUPS_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 128;
const DESCRIPTION_BYTES_MAX: usize = 1024;
const TAGS_MAX: usize = 50;
const TAG_KEY_BYTES_MAX: usize = 128;
const TAG_VALUE_BYTES_MAX: usize = 256;
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
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct One {
    work_group: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct List {
    next_token: Option<String>,
    max_results: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Create {
    name: String,
    configuration: Option<Configuration>,
    description: Option<String>,
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Configuration {
    result_configuration: Option<ResultConfiguration>,
    enforce_work_group_configuration: Option<bool>,
    bytes_scanned_cutoff_per_query: Option<u64>,
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
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EngineVersion {
    selected_engine_version: Option<String>,
    #[expect(dead_code, reason = "clients send back the field of an answer")]
    effective_engine_version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Update {
    work_group: String,
    description: Option<String>,
    state: Option<String>,
    configuration_updates: Option<Updates>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Updates {
    result_configuration_updates: Option<ResultUpdates>,
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
struct ResultUpdates {
    output_location: Option<String>,
    remove_output_location: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Delete {
    work_group: String,
    recursive_delete_option: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tag {
    key: String,
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Tagging {
    #[serde(rename = "ResourceARN")]
    arn: String,
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Untagging {
    #[serde(rename = "ResourceARN")]
    arn: String,
    tag_keys: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Tagged {
    #[serde(rename = "ResourceARN")]
    arn: String,
    // A work group has fewer tags than the shortest page.
    #[expect(dead_code, reason = "there is one page")]
    next_token: Option<String>,
    #[expect(dead_code, reason = "there is one page")]
    max_results: Option<u32>,
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
        let mut results = json!({});
        if let Some(location) = &self.output_location {
            results["OutputLocation"] = json!(location);
        }
        let mut configuration = json!({
            "ResultConfiguration": results, "EnforceWorkGroupConfiguration": self.enforced,
            "PublishCloudWatchMetricsEnabled": false, "RequesterPaysEnabled": false, "EngineVersion": engine_version(),
        });
        if let Some(bytes) = self.scanned_bytes_max {
            configuration["BytesScannedCutoffPerQuery"] = json!(bytes);
        }
        let mut shown = self.summary();
        if let Some(shown) = shown.as_object_mut() {
            shown.remove("EngineVersion");
        }
        shown["Configuration"] = configuration;
        shown
    }

    fn describe(&mut self, description: Option<String>) -> Result<(), Fault> {
        if let Some(description) = description {
            if description.len() > DESCRIPTION_BYTES_MAX {
                return Err(Fault::invalid(format!("Description is longer than {DESCRIPTION_BYTES_MAX} bytes")));
            }
            self.description = description;
        }
        Ok(())
    }

    fn limit(&mut self, bytes: Option<u64>) -> Result<(), Fault> {
        match bytes {
            Some(bytes) if bytes < SCANNED_BYTES_MIN => Err(Fault::invalid(format!(
                "BytesScannedCutoffPerQuery is {bytes}, expected at least {SCANNED_BYTES_MIN}"
            ))),
            Some(bytes) => {
                self.scanned_bytes_max = Some(bytes);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn label(&mut self, tags: Vec<Tag>) -> Result<(), Fault> {
        for Tag { key, value } in tags {
            let value = value.unwrap_or_default();
            if key.is_empty() || key.len() > TAG_KEY_BYTES_MAX || value.len() > TAG_VALUE_BYTES_MAX {
                return Err(Fault::invalid(format!("tag {key:?} is empty or too long")));
            }
            self.tags.insert(key, value);
        }
        match self.tags.len() {
            0..=TAGS_MAX => Ok(()),
            n => Err(Fault::invalid(format!("{n} tags are more than {TAGS_MAX}"))),
        }
    }
}

fn engine_version() -> Value {
    json!({"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": ENGINE_VERSION})
}

fn check_engine(version: Option<EngineVersion>) -> Result<(), Fault> {
    match version.and_then(|version| version.selected_engine_version).as_deref() {
        None | Some("AUTO" | ENGINE_VERSION) => Ok(()),
        Some(other) => {
            Err(Fault::invalid(format!("engine version {other:?} does not exist: expected {ENGINE_VERSION}")))
        }
    }
}

pub(super) fn list_engine_versions(_: &List) -> Result<Value, Fault> {
    let fixed = json!({"SelectedEngineVersion": ENGINE_VERSION, "EffectiveEngineVersion": ENGINE_VERSION});
    Ok(json!({"EngineVersions": [engine_version(), fixed]}))
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
            tags: BTreeMap::new(),
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

    async fn keep(&self, group: &Group, expected: &Version) -> Result<(), Fault> {
        match self.groups().put(&group.name, group, expected).await? {
            true => Ok(()),
            false => Err(Fault::invalid(format!("WorkGroup {} is being changed by another call", group.name))),
        }
    }

    async fn group_names(&self) -> Result<Vec<String>, Fault> {
        let mut names = self.groups().names().await?;
        if !names.iter().any(|name| name == PRIMARY) {
            names.push(PRIMARY.to_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    pub(super) async fn list_work_groups(&self, request: List) -> Result<Value, Fault> {
        let length = page_length(request.max_results, 50)?;
        let (names, next) = page(self.group_names().await?, request.next_token.as_deref(), length);
        let mut groups = Vec::new();
        for name in names {
            groups.push(self.group(&name).await?.summary());
        }
        Ok(with_next_token(json!({"WorkGroups": groups}), next))
    }

    pub(super) async fn get_work_group(&self, request: One) -> Result<Value, Fault> {
        Ok(json!({"WorkGroup": self.group(&request.work_group).await?.to_json()}))
    }

    pub(super) async fn create_work_group(&self, request: Create) -> Result<Value, Fault> {
        check_name(&request.name)?;
        if self.group_names().await?.len() >= GROUPS_MAX {
            return Err(Fault::invalid(format!("there are {GROUPS_MAX} work groups, which is the most")));
        }
        let configuration = request.configuration.unwrap_or_default();
        check_engine(configuration.engine_version)?;
        let output_location = configuration.result_configuration.and_then(|results| results.output_location);
        if let Some(location) = &output_location {
            location::folder(location, &self.settings.bucket, self.engine.protected())?;
        }
        let mut group = Group {
            name: request.name,
            output_location,
            enforced: configuration.enforce_work_group_configuration.unwrap_or(true),
            created_ms: (self.settings.clock)(),
            ..self.primary()
        };
        group.describe(request.description)?;
        group.limit(configuration.bytes_scanned_cutoff_per_query)?;
        group.label(request.tags.unwrap_or_default())?;
        if group.name == PRIMARY || !self.groups().put(&group.name, &group, &Version::Absent).await? {
            return Err(Fault::invalid(format!("WorkGroup {} is already created", group.name)));
        }
        Ok(json!({}))
    }

    pub(super) async fn update_work_group(&self, request: Update) -> Result<Value, Fault> {
        let (mut group, version) = self.find(&request.work_group).await?;
        group.describe(request.description)?;
        group.is_enabled = match request.state.as_deref() {
            None => group.is_enabled,
            Some("ENABLED") => true,
            Some("DISABLED") => false,
            Some(other) => return Err(Fault::invalid(format!("State is {other}, expected ENABLED or DISABLED"))),
        };
        let updates = request.configuration_updates.unwrap_or_default();
        check_engine(updates.engine_version)?;
        group.enforced = updates.enforce_work_group_configuration.unwrap_or(group.enforced);
        if updates.remove_bytes_scanned_cutoff_per_query == Some(true) {
            group.scanned_bytes_max = None;
        }
        group.limit(updates.bytes_scanned_cutoff_per_query)?;
        if let Some(results) = updates.result_configuration_updates {
            if results.remove_output_location == Some(true) {
                group.output_location = None;
            }
            if let Some(location) = results.output_location {
                location::folder(&location, &self.settings.bucket, self.engine.protected())?;
                group.output_location = Some(location);
            }
        }
        self.keep(&group, &version).await?;
        Ok(json!({}))
    }

    pub(super) async fn delete_work_group(&self, request: Delete) -> Result<Value, Fault> {
        let group = self.group(&request.work_group).await?;
        if group.name == PRIMARY {
            return Err(Fault::invalid("WorkGroup primary cannot be deleted"));
        }
        let is_empty = self.remove_saved(&group.name, request.recursive_delete_option == Some(true)).await?;
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

    async fn tagged(&self, arn: &str) -> Result<(Group, Version), Fault> {
        let prefix = format!("arn:aws:athena:{}:000000000000:workgroup/", self.settings.region);
        let name = arn
            .strip_prefix(&prefix)
            .ok_or_else(|| Fault::invalid(format!("{arn:?} is not an ARN of a work group: expected {prefix}NAME")))?;
        let missing = |_| Fault::missing(arn, format!("{arn} was not found"));
        self.find(name).await.map_err(missing)
    }

    pub(super) async fn tag(&self, request: Tagging) -> Result<Value, Fault> {
        let (mut group, version) = self.tagged(&request.arn).await?;
        group.label(request.tags)?;
        self.keep(&group, &version).await?;
        Ok(json!({}))
    }

    pub(super) async fn untag(&self, request: Untagging) -> Result<Value, Fault> {
        let (mut group, version) = self.tagged(&request.arn).await?;
        group.tags.retain(|key, _| !request.tag_keys.contains(key));
        self.keep(&group, &version).await?;
        Ok(json!({}))
    }

    pub(super) async fn list_tags(&self, request: Tagged) -> Result<Value, Fault> {
        let (group, _) = self.tagged(&request.arn).await?;
        let tags: Vec<_> = group.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        Ok(json!({"Tags": tags}))
    }
}
