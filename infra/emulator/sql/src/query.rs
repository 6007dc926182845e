//! Queries: their tables found in the catalog, planned, and run as their rows are taken.

use crate::answer::{Answer, Column, Rows, Scanned};
use crate::engine::Context;
use crate::error::SqlError;
use crate::failure::told;
use crate::files::{Files, REPLACED};
use crate::protected::Protected;
use crate::registered::Registered;
use crate::sql_type::SqlType;
use crate::statement::Query;
use crate::{functions, telling, view};
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

/// The one catalog there is, lower case as all names are here.
pub(crate) const CATALOG: &str = "awsdatacatalog";
/// How often a query is begun whose files are replaced while they are read.
const ATTEMPTS_MAX: u32 = 4;

/// What queries are run with.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) catalog: DataCatalog,
    pub(crate) store: Store,
    pub(crate) runtime: Arc<RuntimeEnv>,
    pub(crate) parallelism: usize,
    pub(crate) protected: Arc<Protected>,
}

/// A query whose rows are waiting.
pub(crate) struct Running {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: SendableRecordBatchStream,
    pub(crate) scanned: Scanned,
}

impl Session {
    /// Begins a query: its first rows are there, or its error.
    pub(crate) async fn begin(&self, query: &Query, context: &Context) -> Result<Running, SqlError> {
        let scanned = Scanned::default();
        for attempt in 1.. {
            match self.begin_once(query, context, scanned.clone()).await {
                Err(error) if error.message.starts_with(REPLACED) && attempt < ATTEMPTS_MAX => {}
                other => return other,
            }
        }
        Err(SqlError::system("GENERIC_INTERNAL_ERROR: the query was not begun"))
    }

    async fn begin_once(&self, query: &Query, context: &Context, scanned: Scanned) -> Result<Running, SqlError> {
        let files = Files::new(self.store.clone(), scanned.clone());
        let told = |error: DataFusionError| told(&error, Some(query));
        let (session, plan) = self.planned(query.clone(), context.database.clone(), files, 0).await?;
        let columns = columns(&plan, query);
        let plan = session.state().create_physical_plan(&plan).await.map_err(told)?;
        let mut rows = execute_stream(plan, session.task_ctx()).map_err(told)?;
        let first = rows.next().await.transpose().map_err(told)?;
        let schema = rows.schema();
        let whole = futures::stream::iter(first.map(Ok)).chain(rows);
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema, whole));
        Ok(Running { columns, rows, scanned })
    }

    /// The plan of a query, as lines; with what it did, if it is run.
    pub(crate) async fn explain(&self, query: &Query, context: &Context, analyze: bool) -> Result<Answer, SqlError> {
        let scanned = Scanned::default();
        let files = Files::new(self.store.clone(), scanned.clone());
        let told = |error: DataFusionError| told(&error, Some(query));
        let (session, plan) = self.planned(query.clone(), context.database.clone(), files.clone(), 0).await?;
        let plan = session.state().create_physical_plan(&plan).await.map_err(told)?;
        let mut lines = files.notes();
        if analyze {
            let mut rows = execute_stream(Arc::clone(&plan), session.task_ctx()).map_err(told)?;
            while let Some(batch) = rows.next().await {
                batch.map_err(told)?;
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

    /// The logical plan of a query, and the session that knows its tables.
    pub(crate) fn planned(
        &self,
        query: Query,
        database: String,
        files: Files,
        depth: usize,
    ) -> BoxFuture<'_, Result<(SessionContext, LogicalPlan), SqlError>> {
        async move {
            let statement = Statement::Statement(Box::new(query.statement.clone()));
            let (references, _) =
                resolve_table_references(&statement, false).map_err(|error| told(&error, Some(&query)))?;
            let session = self.session(&database);
            let known = MemoryCatalogProvider::new();
            for reference in references {
                let (name, provider) = self.table(&query, &reference, &database, &files, depth).await?;
                let schema = match known.schema(&name.0) {
                    Some(schema) => schema,
                    None => {
                        let schema: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                        known.register_schema(&name.0, Arc::clone(&schema)).map_err(SqlError::from)?;
                        schema
                    }
                };
                schema.register_table(name.1, provider).map_err(SqlError::from)?;
            }
            session.register_catalog(CATALOG, Arc::new(known));
            let plan = session.state().statement_to_plan(statement).await;
            let plan = plan.map_err(|error| told(&error, Some(&query)))?;
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

    /// A table by its name in a query: the names that it is known by, and what is behind them.
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
        let known = (database.clone(), name.clone());
        if database == telling::SCHEMA {
            return Ok((known, telling::information(&self.catalog, &name, &line).await?));
        }
        let (of, hidden) = name.split_once('$').map_or((name.as_str(), None), |(of, hidden)| (of, Some(hidden)));
        let Some(table) = found(&self.catalog, &database, of).await? else {
            return Err(self.missing(&database, &name, &line).await?);
        };
        let provider: Arc<dyn TableProvider> = match hidden {
            Some("partitions") => telling::partitions(&self.catalog, &table).await?,
            Some(_) => return Err(self.missing(&database, &name, &line).await?),
            None if table.view.is_some() => {
                let (text, database) = view::text_of(&table, depth)?;
                let inner = Query::parse(&text, 0, text.len(), &[])
                    .map_err(|error| SqlError::user(format!("INVALID_VIEW: {line}view {of}: {error}")))?;
                let (_, plan) = self.planned(inner, database, files.clone(), depth + 1).await?;
                Arc::new(ViewTable::new(plan, None))
            }
            None => Arc::new(Registered::new(table, self.catalog.clone(), files.clone(), query.names_path)?),
        };
        Ok((known, provider))
    }

    async fn missing(&self, database: &str, name: &str, line: &str) -> Result<SqlError, SqlError> {
        let exists = self.catalog.database(database).await.map_err(|error| SqlError::system(error.to_string()))?;
        Ok(SqlError::user(match exists {
            None => format!("SCHEMA_NOT_FOUND: {line}Schema '{database}' does not exist"),
            Some(_) => format!("TABLE_NOT_FOUND: {line}Table '{CATALOG}.{database}.{name}' does not exist"),
        }))
    }
}

/// A table in the catalog.
pub(crate) async fn found(catalog: &DataCatalog, database: &str, name: &str) -> Result<Option<Table>, SqlError> {
    catalog.table(database, name).await.map_err(|error| SqlError::system(error.to_string()))
}

/// The columns of a plan, with their names as Athena gives them.
pub(crate) fn columns(plan: &LogicalPlan, query: &Query) -> Vec<Column> {
    let named = |(n, field): (usize, &Arc<Field>)| {
        let name = match field.name().split_once(crate::statement::UNIQUE) {
            Some(("", _)) => format!("_col{n}"),
            Some((name, _)) => name.to_owned(),
            None => field.name().clone(),
        };
        let name = query.capitals.get(&name).cloned().unwrap_or(name);
        Column { name, kind: SqlType::of(field.data_type()), nullable: field.is_nullable() }
    };
    plan.schema().fields().iter().enumerate().map(named).collect()
}

impl From<Running> for Answer {
    fn from(running: Running) -> Self {
        let Running { columns, rows, scanned } = running;
        Self { columns, rows: Rows::Batches(rows), scanned, written: Vec::new(), update_count: None }
    }
}
