//! Work groups, saved queries and the catalog.

use crate::api::athena;
use serde_json::json;

#[tokio::test]
async fn primary_work_group_exists_from_start() {
    let api = athena().await;
    let listed = api.call("ListWorkGroups", json!({})).await;
    assert_eq!(listed["WorkGroups"][0]["Name"], "primary");
    let found = api.call("GetWorkGroup", json!({"WorkGroup": "primary"})).await;
    let results = &found["WorkGroup"]["Configuration"]["ResultConfiguration"];
    assert_eq!(results["OutputLocation"], "s3://lake/athena/results/");
    api.refused("DeleteWorkGroup", json!({"WorkGroup": "primary"})).await;
    api.refused("GetWorkGroup", json!({"WorkGroup": "other"})).await;
}

#[tokio::test]
async fn work_group_sets_location_and_state() {
    let api = athena().await;
    let configuration = json!({"ResultConfiguration": {"OutputLocation": "s3://lake/team/"}});
    api.call("CreateWorkGroup", json!({"Name": "team", "Configuration": configuration})).await;
    api.refused("CreateWorkGroup", json!({"Name": "team"})).await;
    // The location of an enforcing work group overrides that of the call.
    let request = json!({
        "QueryString": "SELECT 1", "WorkGroup": "team", "ResultConfiguration": {"OutputLocation": "s3://lake/else/"},
    });
    let id = api.start_with(request.clone()).await;
    let execution = api.end(&id).await;
    assert_eq!(execution["ResultConfiguration"]["OutputLocation"], format!("s3://lake/team/{id}.csv"));
    assert_eq!(api.call("ListQueryExecutions", json!({})).await["QueryExecutionIds"], json!([]));
    api.call("UpdateWorkGroup", json!({"WorkGroup": "team", "State": "DISABLED"})).await;
    let (_, message) = api.refused("StartQueryExecution", request).await;
    assert!(message.contains("disabled"), "{message}");
    let arn = "arn:aws:athena:us-east-1:000000000000:workgroup/team";
    let tag = json!({"ResourceARN": arn, "Tags": [{"Key": "a", "Value": "b"}]});
    assert_eq!(api.refused("TagResource", tag).await.0, "UnknownOperationException");
    assert_eq!(api.call("ListTagsForResource", json!({"ResourceARN": arn})).await["Tags"], json!([]));
    api.call("DeleteWorkGroup", json!({"WorkGroup": "team"})).await;
    api.refused("GetWorkGroup", json!({"WorkGroup": "team"})).await;
}

#[tokio::test]
async fn named_query_is_saved_and_deleted() {
    let api = athena().await;
    let request = json!({"Name": "one", "Database": "stedi", "QueryString": "SELECT 1"});
    let id = api.call("CreateNamedQuery", request).await["NamedQueryId"].clone();
    let found = api.call("GetNamedQuery", json!({"NamedQueryId": id})).await;
    assert_eq!(found["NamedQuery"]["QueryString"], "SELECT 1");
    assert_eq!(api.call("ListNamedQueries", json!({})).await["NamedQueryIds"], json!([id]));
    api.call("DeleteNamedQuery", json!({"NamedQueryId": id})).await;
    api.refused("GetNamedQuery", json!({"NamedQueryId": id})).await;
    // Only an id may become part of a key.
    api.refused("GetNamedQuery", json!({"NamedQueryId": "../work_groups/primary"})).await;
}

#[tokio::test]
async fn catalog_operations_list_tables() {
    let api = athena().await;
    let listed = api.call("ListDataCatalogs", json!({})).await;
    assert_eq!(listed["DataCatalogsSummary"][0]["CatalogName"], "AwsDataCatalog");
    let listed = api.call("ListDatabases", json!({"CatalogName": "AwsDataCatalog"})).await;
    assert!(listed["DatabaseList"].as_array().unwrap().iter().any(|found| found["Name"] == "stedi"), "{listed}");
    let request =
        json!({"CatalogName": "AwsDataCatalog", "DatabaseName": "stedi", "Expression": "customer_.*", "MaxResults": 2});
    let first = api.call("ListTableMetadata", request.clone()).await;
    let names = |page: &serde_json::Value| -> Vec<String> {
        let tables = page["TableMetadataList"].as_array().unwrap().iter();
        tables.map(|table| table["Name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&first), ["customer_curated", "customer_landing"]);
    let mut request = request;
    request["NextToken"] = first["NextToken"].clone();
    assert_eq!(names(&api.call("ListTableMetadata", request).await), ["customer_trusted"]);
    let request =
        json!({"CatalogName": "AwsDataCatalog", "DatabaseName": "stedi", "TableName": "accelerometer_trusted"});
    let table = api.call("GetTableMetadata", request).await;
    assert_eq!(table["TableMetadata"]["PartitionKeys"][0]["Name"], "dt");
    assert!(table["TableMetadata"]["Parameters"]["location"].as_str().unwrap().starts_with("s3://lake/"), "{table}");
    let request = json!({"CatalogName": "AwsDataCatalog", "DatabaseName": "stedi", "TableName": "nothing"});
    let (kind, message) = api.refused("GetTableMetadata", request).await;
    assert_eq!((kind.as_str(), message.contains("EntityNotFoundException")), ("MetadataException", true), "{message}");
}
