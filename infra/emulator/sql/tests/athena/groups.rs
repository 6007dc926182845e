//! Work groups, saved queries and what the catalog has.

use crate::api::athena;
use serde_json::json;

#[tokio::test]
async fn there_is_a_work_group_from_the_start() {
    let called = athena().await;
    let listed = called.call("ListWorkGroups", json!({})).await;
    assert_eq!(listed["WorkGroups"][0]["Name"], "primary");
    let found = called.call("GetWorkGroup", json!({"WorkGroup": "primary"})).await;
    let results = &found["WorkGroup"]["Configuration"]["ResultConfiguration"];
    assert_eq!(results["OutputLocation"], "s3://lake/athena/results/");
    called.refused("DeleteWorkGroup", json!({"WorkGroup": "primary"})).await;
    called.refused("GetWorkGroup", json!({"WorkGroup": "other"})).await;
}

#[tokio::test]
async fn a_work_group_says_where_results_go_and_whether_queries_run() {
    let called = athena().await;
    let configuration = json!({"ResultConfiguration": {"OutputLocation": "s3://lake/team/"}});
    called.call("CreateWorkGroup", json!({"Name": "team", "Configuration": configuration})).await;
    called.refused("CreateWorkGroup", json!({"Name": "team"})).await;
    // What a work group enforces counts more than what a call says.
    let asked = json!({
        "QueryString": "SELECT 1", "WorkGroup": "team", "ResultConfiguration": {"OutputLocation": "s3://lake/else/"},
    });
    let id = called.call("StartQueryExecution", asked.clone()).await["QueryExecutionId"].as_str().unwrap().to_owned();
    let execution = called.end(&id).await;
    assert_eq!(execution["ResultConfiguration"]["OutputLocation"], format!("s3://lake/team/{id}.csv"));
    assert_eq!(called.call("ListQueryExecutions", json!({})).await["QueryExecutionIds"], json!([]));
    called.call("UpdateWorkGroup", json!({"WorkGroup": "team", "State": "DISABLED"})).await;
    let (_, told) = called.refused("StartQueryExecution", asked).await;
    assert!(told.contains("disabled"), "{told}");
    let arn = "arn:aws:athena:us-east-1:000000000000:workgroup/team";
    called.call("TagResource", json!({"ResourceARN": arn, "Tags": [{"Key": "a", "Value": "b"}]})).await;
    let tags = called.call("ListTagsForResource", json!({"ResourceARN": arn})).await;
    assert_eq!(tags["Tags"], json!([{"Key": "a", "Value": "b"}]));
    called.call("DeleteWorkGroup", json!({"WorkGroup": "team"})).await;
    called.refused("GetWorkGroup", json!({"WorkGroup": "team"})).await;
}

#[tokio::test]
async fn named_queries_are_kept() {
    let called = athena().await;
    let asked = json!({"Name": "one", "Database": "stedi", "QueryString": "SELECT 1"});
    let id = called.call("CreateNamedQuery", asked).await["NamedQueryId"].clone();
    let found = called.call("GetNamedQuery", json!({"NamedQueryId": id})).await;
    assert_eq!(found["NamedQuery"]["QueryString"], "SELECT 1");
    assert_eq!(called.call("ListNamedQueries", json!({})).await["NamedQueryIds"], json!([id]));
    called.call("DeleteNamedQuery", json!({"NamedQueryId": id})).await;
    called.refused("GetNamedQuery", json!({"NamedQueryId": id})).await;
    // What is no id never becomes part of a key.
    called.refused("GetNamedQuery", json!({"NamedQueryId": "../work_groups/primary"})).await;
}

#[tokio::test]
async fn the_catalog_is_shown() {
    let called = athena().await;
    let listed = called.call("ListDataCatalogs", json!({})).await;
    assert_eq!(listed["DataCatalogsSummary"][0]["CatalogName"], "AwsDataCatalog");
    let listed = called.call("ListDatabases", json!({"CatalogName": "AwsDataCatalog"})).await;
    assert!(listed["DatabaseList"].as_array().unwrap().iter().any(|found| found["Name"] == "stedi"), "{listed}");
    let asked =
        json!({"CatalogName": "AwsDataCatalog", "DatabaseName": "stedi", "Expression": "customer_.*", "MaxResults": 2});
    let first = called.call("ListTableMetadata", asked.clone()).await;
    let names = |page: &serde_json::Value| -> Vec<String> {
        let tables = page["TableMetadataList"].as_array().unwrap().iter();
        tables.map(|table| table["Name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&first), ["customer_curated", "customer_landing"]);
    let mut asked = asked;
    asked["NextToken"] = first["NextToken"].clone();
    assert_eq!(names(&called.call("ListTableMetadata", asked).await), ["customer_trusted"]);
    let asked = json!({"CatalogName": "AwsDataCatalog", "DatabaseName": "stedi", "TableName": "accelerometer_trusted"});
    let table = called.call("GetTableMetadata", asked).await;
    assert_eq!(table["TableMetadata"]["PartitionKeys"][0]["Name"], "dt");
    assert!(table["TableMetadata"]["Parameters"]["location"].as_str().unwrap().starts_with("s3://lake/"), "{table}");
    let asked = json!({"CatalogName": "AwsDataCatalog", "DatabaseName": "stedi", "TableName": "nothing"});
    let (kind, told) = called.refused("GetTableMetadata", asked).await;
    assert_eq!((kind.as_str(), told.contains("EntityNotFoundException")), ("MetadataException", true), "{told}");
}
