//! Queries: finds their tables in the catalog, plans them, and computes rows as the caller reads them.

use crate::answer::{Answer, Column, Rows, Scanned};
use crate::datafusion_error::sql_error;
use crate::engine::Context;
use crate::error::SqlError;
use crate::files::{Files, REPLACED};
use crate::protected::Protected;
use crate::sql_type::SqlType;
use crate::statement::{Cursor, Query};
use crate::table_provider::CatalogTable;
use crate::{functions, metadata_tables, view};
use datafusion::arrow::datatypes::Field;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::common::{DataFusionError, TableReference};
use datafusion::datasource::ViewTable;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::{SessionConfig, SessionContext};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{displayable, execute_stream};
use datafusion::sql::parser::Statement;
use datafusion::sql::resolve::resolve_table_references;
use emulator_client::Store;
use emulator_client::data_catalog::{DataCatalog, Table};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use std::sync::Arc;

/// The only catalog. All names here are lower case.
pub(crate) const CATALOG: &str = "awsdatacatalog";
/// The attempts of a query whose files are replaced while it reads them.
const ATTEMPTS_MAX: u32 = 4;

/// The clients and settings of all queries of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) catalog: DataCatalog,
    pub(crate) store: Store,
    pub(crate) runtime: Arc<RuntimeEnv>,
    pub(crate) parallelism: usize,
    pub(crate) protected: Arc<Protected>,
}

/// A query that runs.
pub(crate) struct RunningQuery {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: SendableRecordBatchStream,
    pub(crate) scanned: Scanned,
}

impl Session {
    /// Starts a query and computes its first rows, so that most errors occur here.
    pub(crate) async fn begin(&self, query: &Query, context: &Context) -> Result<RunningQuery, SqlError> {
        let scanned = Scanned::default();
        for attempt in 1.. {
            match self.begin_once(query, context, scanned.clone()).await {
                Err(error) if error.message.starts_with(REPLACED) && attempt < ATTEMPTS_MAX => {}
                other => return other,
            }
        }
        Err(SqlError::system("GENERIC_INTERNAL_ERROR: the query did not start"))
    }

    async fn begin_once(&self, query: &Query, context: &Context, scanned: Scanned) -> Result<RunningQuery, SqlError> {
        let files = Files::new(self.store.clone(), scanned.clone());
        let failed = |error: DataFusionError| sql_error(&error, Some(query));
        let (session, plan) = self.plan(query.clone(), context.database.clone(), files, 0).await?;
        let columns = columns(&plan, query);
        let plan = session.state().create_physical_plan(&plan).await.map_err(failed)?;
        let mut rows = execute_stream(plan, session.task_ctx()).map_err(failed)?;
        let first = rows.next().await.transpose().map_err(failed)?;
        let schema = rows.schema();
        let whole = futures::stream::iter(first.map(Ok)).chain(rows);
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema, whole));
        Ok(RunningQuery { columns, rows, scanned })
    }

    /// The plan of a query as lines. `analyze` runs the query and adds its metrics.
    pub(crate) async fn explain(&self, query: &Query, context: &Context, analyze: bool) -> Result<Answer, SqlError> {
        let scanned = Scanned::default();
        let files = Files::new(self.store.clone(), scanned.clone());
        let failed = |error: DataFusionError| sql_error(&error, Some(query));
        let (session, plan) = self.plan(query.clone(), context.database.clone(), files.clone(), 0).await?;
        let plan = session.state().create_physical_plan(&plan).await.map_err(failed)?;
        let mut lines = files.notes();
        if analyze {
            let mut rows = execute_stream(Arc::clone(&plan), session.task_ctx()).map_err(failed)?;
            while let Some(batch) = rows.next().await {
                batch.map_err(failed)?;
            }
            let text = datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(plan.as_ref());
            lines.extend(text.indent(false).to_string().lines().map(str::to_owned));
            lines.push(format!("Scanned: {} bytes", scanned.bytes()));
        } else {
            lines.extend(displayable(plan.as_ref()).indent(false).to_string().lines().map(str::to_owned));
        }
        let mut answer = Answer::lines(vec![Column::new("Query Plan", SqlType::Varchar(None))], lines);
        answer.scanned = scanned;
        Ok(answer)
    }

    /// The logical plan of a query, and a session with its tables.
    pub(crate) fn plan(
        &self,
        query: Query,
        database: String,
        files: Files,
        depth: usize,
    ) -> BoxFuture<'_, Result<(SessionContext, LogicalPlan), SqlError>> {
        async move {
            let statement = Statement::Statement(Box::new(query.statement.clone()));
            let (references, _) =
                resolve_table_references(&statement, false).map_err(|error| sql_error(&error, Some(&query)))?;
            let session = self.session(&database);
            let provider = MemoryCatalogProvider::new();
            for reference in references {
                let (name, table) = self.table(&query, &reference, &database, &files, depth).await?;
                let schema = match provider.schema(&name.0) {
                    Some(schema) => schema,
                    None => {
                        let schema: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                        provider.register_schema(&name.0, Arc::clone(&schema)).map_err(SqlError::from)?;
                        schema
                    }
                };
                schema.register_table(name.1, table).map_err(SqlError::from)?;
            }
            session.register_catalog(CATALOG, Arc::new(provider));
            let plan = session.state().statement_to_plan(statement).await;
            let plan = plan.map_err(|error| sql_error(&error, Some(&query)))?;
            Ok((session, plan))
        }
        .boxed()
    }

    fn session(&self, database: &str) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(CATALOG, database.to_lowercase())
            .with_target_partitions(self.parallelism)
            .with_information_schema(false);
        let options = config.options_mut();
        options.sql_parser.enable_ident_normalization = false;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.default_null_ordering = "nulls_last".to_owned();
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.schema_force_view_types = false;
        options.execution.time_zone = Some("UTC".to_owned());
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_default_features()
            .build();
        let session = SessionContext::new_with_state(state);
        functions::register(&session);
        session
    }

    /// Finds the table of a reference: its database, its name and its provider.
    async fn table(
        &self,
        query: &Query,
        reference: &TableReference,
        database: &str,
        files: &Files,
        depth: usize,
    ) -> Result<((String, String), Arc<dyn TableProvider>), SqlError> {
        let database = reference.schema().unwrap_or(database).to_lowercase();
        let name = reference.table().to_owned();
        let line = query.line_of(reference.catalog().or(reference.schema()).unwrap_or(&name));
        if let Some(catalog) = reference.catalog().filter(|catalog| *catalog != CATALOG) {
            return Err(SqlError::user(format!("CATALOG_NOT_FOUND: {line}Catalog '{catalog}' does not exist")));
        }
        let names = (database.clone(), name.clone());
        if database == metadata_tables::SCHEMA {
            return Ok((names, metadata_tables::information_schema(&self.catalog, &name, &line).await?));
        }
        let (of, hidden) = name.split_once('$').map_or((name.as_str(), None), |(of, hidden)| (of, Some(hidden)));
        let Some(table) = find_table(&self.catalog, &database, of).await? else {
            return Err(self.missing(&database, &name, &line).await?);
        };
        let provider: Arc<dyn TableProvider> = match hidden {
            Some("partitions") => metadata_tables::partitions(&self.catalog, &table).await?,
            Some(_) => return Err(self.missing(&database, &name, &line).await?),
            None if table.view.is_some() => {
                let (text, database) = view::text_of(&table, depth)?;
                let inner = Cursor::new(&text)
                    .and_then(|mut cursor| cursor.query(&[]))
                    .map_err(|error| SqlError::user(format!("INVALID_VIEW: {line}view {of}: {error}")))?;
                let (_, plan) = self.plan(inner, database, files.clone(), depth + 1).await?;
                Arc::new(ViewTable::new(plan, None))
            }
            None => Arc::new(CatalogTable::new(table, self.catalog.clone(), files.clone(), query.names_path)?),
        };
        Ok((names, provider))
    }

    async fn missing(&self, database: &str, name: &str, line: &str) -> Result<SqlError, SqlError> {
        let exists = self.catalog.database(database).await?;
        Ok(SqlError::user(match exists {
            None => format!("SCHEMA_NOT_FOUND: {line}Schema '{database}' does not exist"),
            Some(_) => format!("TABLE_NOT_FOUND: {line}Table '{CATALOG}.{database}.{name}' does not exist"),
        }))
    }
}

/// Reads a table from the catalog.
pub(crate) async fn find_table(catalog: &DataCatalog, database: &str, name: &str) -> Result<Option<Table>, SqlError> {
    Ok(catalog.table(database, name).await?)
}

/// The columns of a plan, with Athena's names.
pub(crate) fn columns(plan: &LogicalPlan, query: &Query) -> Vec<Column> {
    let named = |(n, field): (usize, &Arc<Field>)| {
        let name = match field.name().split_once(crate::statement::UNIQUE) {
            Some(("", _)) => format!("_col{n}"),
            Some((name, _)) => name.to_owned(),
            None => field.name().clone(),
        };
        let name = query.capitals.get(&name).cloned().unwrap_or(name);
        Column { name, kind: SqlType::of(field.data_type()) }
    };
    plan.schema().fields().iter().enumerate().map(named).collect()
}

impl From<RunningQuery> for Answer {
    fn from(running: RunningQuery) -> Self {
        let RunningQuery { columns, rows, scanned } = running;
        Self { columns, rows: Rows::Batches(rows), scanned, written: Vec::new(), update_count: None }
    }
}
