//! A lake to query.

use crate::fixture::{at, cloud, context, engine, protected};
use emulator::Cloud;
use emulator_client::{Clients, Put, Version};
use emulator_sql::{Answer, Engine, Limits, Protected, Rows, SqlError, text_of};
use futures::StreamExt;
use std::sync::Arc;

pub(crate) struct Lake {
    pub(crate) cloud: Cloud,
    clients: Clients,
    engine: Engine,
    _directory: tempfile::TempDir,
}

/// A lake with empty tables, which all statements may change.
pub(crate) async fn lake() -> Lake {
    lake_with(Limits::default()).await
}

pub(crate) async fn lake_with(limits: Limits) -> Lake {
    let (cloud, clients, _directory) = cloud().await;
    let engine = engine(&clients, limits, Protected::default());
    Lake { cloud, clients, engine, _directory }
}

/// A lake with empty tables, of which some are protected.
pub(crate) async fn protected_lake() -> Lake {
    let lake = lake().await;
    Lake { engine: engine(&lake.clients, Limits::default(), protected()), ..lake }
}

impl Lake {
    pub(crate) async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let put = self.clients.store.put(&at(key), body.into().into(), &Version::Absent).await.unwrap();
        assert!(matches!(put, Put::Done(_)), "{key} exists already");
    }

    pub(crate) async fn answer(&self, sql: &str) -> Result<Answer, SqlError> {
        self.engine.run(self.engine.parse(sql, &[])?, &context()).await
    }

    /// The names of the columns, and the rows with cells separated by `|`.
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

    /// Runs statements one after the other. Each has rows, or an error that begins with a text.
    pub(crate) async fn check_all(&self, statements: &[(&str, Result<&[&str], &str>)]) {
        for (sql, expected) in statements {
            match expected {
                Ok(rows) => self.check(sql, rows).await,
                Err(error) => self.check_error(sql, error).await,
            }
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
