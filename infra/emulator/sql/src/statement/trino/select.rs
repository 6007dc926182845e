//! Names the columns of a query's answer as Trino does.

use super::calls::cast_of;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExcludeSelectItem, Expr, Ident, ObjectName, Query, Select, SelectItem, SetExpr, Statement,
    Value, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

/// Separates a column's name from a suffix that makes it unique for DataFusion. No name contains it.
pub(crate) const UNIQUE: char = '\u{1}';

/// The aliases of the outermost query that contain capitals.
pub(super) fn capitals(statement: &Statement, written: &HashMap<(u64, u64), String>) -> HashMap<String, String> {
    let Statement::Query(query) = statement else { return HashMap::new() };
    let mut body = query.body.as_ref();
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Query(query) => body = &query.body,
            _ => return HashMap::new(),
        }
    };
    let alias = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => {
            let start = alias.span.start;
            let original = written.get(&(start.line, start.column))?;
            (original.to_lowercase() == alias.value).then(|| (alias.value.clone(), original.clone()))
        }
        _ => None,
    };
    select.projection.iter().filter_map(alias).collect()
}

/// Makes the names of the columns unique, and names the columns without a name.
pub(super) fn name_columns(statement: &mut Statement, names_path: bool) {
    let _ = statement.visit(&mut Naming { names_path });
}

struct Naming {
    names_path: bool,
}

impl VisitorMut for Naming {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Values(values) = query.body.as_mut() {
            for value in values.rows.iter_mut().flat_map(|row| &mut row.content) {
                let taken = std::mem::replace(value, Expr::Value(Value::Null.into()));
                *value = small(taken);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut seen = HashSet::new();
        for (n, item) in select.projection.iter_mut().enumerate() {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let name = match &*expr {
                        Expr::Identifier(name) => Some(name.value.clone()),
                        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()),
                        _ => None,
                    };
                    let alias = match name {
                        // The first column of a name keeps it. The table does not always distinguish the others.
                        Some(name) if seen.insert(name.clone()) => continue,
                        Some(name) => format!("{name}{UNIQUE}{n}"),
                        None => format!("{UNIQUE}{n}"),
                    };
                    let expr = std::mem::replace(expr, Expr::Value(Value::Null.into()));
                    *item = SelectItem::ExprWithAlias { expr: small(expr), alias: Ident::with_quote('"', alias) };
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let taken = std::mem::replace(expr, Expr::Value(Value::Null.into()));
                    *expr = small(taken);
                    if !seen.insert(alias.value.clone()) {
                        alias.value = format!("{}{UNIQUE}{n}", alias.value);
                    }
                }
                SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) if self.names_path => {
                    hide(options);
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// Excludes the hidden column from wildcards.
fn hide(options: &mut WildcardAdditionalOptions) {
    let hidden = ObjectName::from(vec![Ident::with_quote('"', super::PATH)]);
    options.opt_exclude.get_or_insert(ExcludeSelectItem::Single(hidden));
}

/// Casts small whole numbers: Trino's type is INTEGER, DataFusion's is BIGINT.
fn small(expr: Expr) -> Expr {
    let is_small =
        matches!(&expr, Expr::Value(value) if matches!(&value.value, Value::Number(n, _) if n.parse::<i32>().is_ok()));
    if !is_small {
        return expr;
    }
    cast_of(CastKind::Cast, expr, DataType::Int(None))
}
