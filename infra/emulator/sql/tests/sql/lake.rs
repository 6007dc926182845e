//! A lake to ask.

use aws::settings::Settings;
use emulator::Cloud;
use emulator_client::Version;
use emulator_sql::{Answer, Context, Engine, Limits, Rows, SqlError, text_of};
use futures::StreamExt;
use std::sync::Arc;

pub(crate) struct Asked {
    pub(crate) cloud: Cloud,
    pub(crate) lake: aws::lake::Lake,
    pub(crate) engine: Engine,
    _directory: tempfile::TempDir,
}

/// An empty lake with the product's tables.
pub(crate) async fn lake() -> Asked {
    lake_with(Limits::default()).await
}

pub(crate) async fn lake_with(limits: Limits) -> Asked {
    let directory = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(directory.path()).unwrap();
    let settings = Settings { lake_bucket: "lake".into(), charter: Default::default(), database: "stedi".into() };
    let lake = aws::connect::over(cloud.http_client(), "us-east-1", &settings);
    lake.store.create_bucket("lake").await.unwrap();
    lake.catalog.create_tables().await.unwrap();
    let engine = Engine::new(lake.data_catalog.clone(), lake.store.clone(), limits);
    Asked { cloud, lake, engine, _directory: directory }
}

impl Asked {
    pub(crate) async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let put = self.lake.store.put(&self.lake.at(key), body.into().into(), &Version::Absent).await.unwrap();
        assert!(put.is_done(), "{key} is there already");
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            catalog: "AwsDataCatalog".into(),
            database: "stedi".into(),
            output: self.lake.at("athena/results"),
            id: "11112222".into(),
        }
    }

    pub(crate) async fn answer(&self, sql: &str) -> Result<Answer, SqlError> {
        self.engine.run(self.engine.parse(sql, &[])?, &self.context()).await
    }

    /// Names and rows, cells separated by `|`.
    pub(crate) async fn ask(&self, sql: &str) -> Result<(Vec<String>, Vec<String>), SqlError> {
        let answer = self.answer(sql).await?;
        let names = answer.columns.iter().map(|column| column.name.clone()).collect();
        let mut rows = Vec::new();
        match answer.rows {
            Rows::Lines(lines) => rows = lines,
            Rows::Batches(mut batches) => {
                while let Some(batch) = batches.next().await {
                    let batch = batch?;
                    let cell = |column: &Arc<dyn datafusion::arrow::array::Array>, row| {
                        text_of(column.as_ref(), row).unwrap_or_else(|| "∅".into())
                    };
                    for row in 0..batch.num_rows() {
                        let cells: Vec<_> = batch.columns().iter().map(|column| cell(column, row)).collect();
                        rows.push(cells.join("|"));
                    }
                }
            }
        }
        Ok((names, rows))
    }

    pub(crate) async fn check(&self, sql: &str, expected: &[&str]) {
        match self.ask(sql).await {
            Ok((_, rows)) => assert_eq!(rows, expected, "{sql}"),
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    pub(crate) async fn check_names(&self, sql: &str, expected: &[&str]) {
        match self.ask(sql).await {
            Ok((names, _)) => assert_eq!(names, expected, "{sql}"),
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    pub(crate) async fn check_type(&self, sql: &str, expected: &str) {
        let answer = self.answer(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(answer.columns[0].kind.to_string(), expected, "{sql}");
    }

    pub(crate) async fn check_error(&self, sql: &str, expected: &str) {
        match self.ask(sql).await {
            Ok((_, rows)) => panic!("{sql}: no error but {rows:?}"),
            Err(error) => assert!(error.message.starts_with(expected), "{sql}: {error}"),
        }
    }
}
