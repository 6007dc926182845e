//! Rewrites Trino's functions and casts into DataFusion's.

use super::types::{replaced, text_length};
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, Expr, Fetch, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident, LimitClause, ObjectName, OrderByExpr,
    OrderByOptions, Query, TableFactor, TimezoneInfo, TypedString, Value, VisitorMut,
};
use std::ops::ControlFlow;

/// Functions that DataFusion has under other names.
const RENAMED: &[(&str, &str)] = &[
    ("any_value", "first_value"),
    ("approx_percentile", "approx_percentile_cont"),
    ("arbitrary", "first_value"),
    ("array_average", "array_avg"),
    ("array_join", "array_to_string"),
    ("array_remove", "array_remove_all"),
    ("ceiling", "ceil"),
    ("char_length", "character_length"),
    ("codepoint", "ascii"),
    ("contains", "array_has"),
    ("every", "bool_and"),
    ("element_at", "array_element"),
    ("is_nan", "isnan"),
    ("sequence", "generate_series"),
    ("split", "string_to_array"),
    ("truncate", "trunc"),
    ("variance", "var_samp"),
    ("row", "struct"),
];

/// Functions that return a BIGINT in Trino.
const BIGINT: &[&str] =
    &["cardinality", "character_length", "char_length", "length", "strpos", "position", "array_position", "codepoint"];

/// Parts of a time that are functions in Trino.
const PARTS: &[(&str, &str)] = &[
    ("year", "year"),
    ("quarter", "quarter"),
    ("month", "month"),
    ("week", "week"),
    ("week_of_year", "week"),
    ("day", "day"),
    ("day_of_month", "day"),
    ("day_of_week", "isodow"),
    ("dow", "isodow"),
    ("day_of_year", "doy"),
    ("doy", "doy"),
    ("hour", "hour"),
    ("minute", "minute"),
    ("second", "second"),
];

/// The deepest nesting of subqueries in expressions. DataFusion's time to plan them grows exponentially. Subqueries in
/// FROM do not count.
const SUBQUERIES_MAX: usize = 10;

/// Rewrites expressions from the inside out.
#[derive(Default)]
pub(super) struct Rewriting {
    pub(super) error: Option<SqlError>,
    subqueries: usize,
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. })
}

impl VisitorMut for Rewriting {
    type Break = ();

    /// The parser reads `UNNEST(…)` as a table function.
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args: Some(arguments), with_ordinality, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if name.to_string() == "unnest" {
            let one = |argument: &FunctionArg| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            };
            *factor = TableFactor::UNNEST {
                alias: alias.take(),
                array_exprs: arguments.args.iter().filter_map(one).collect(),
                with_offset: false,
                with_offset_alias: None,
                with_ordinality: *with_ordinality,
            };
        }
        ControlFlow::Continue(())
    }

    /// Rewrites `FETCH FIRST n ROWS ONLY` as a limit.
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let is_limit = |fetch: &mut Fetch| !fetch.with_ties && !fetch.percent;
        if let Some(fetch) = query.fetch.take_if(is_limit) {
            let rows = fetch.quantity.unwrap_or_else(|| number(1));
            match &mut query.limit_clause {
                Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(rows),
                clause @ None => {
                    *clause = Some(LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: Vec::new() });
                }
                Some(_) => self.error = Some(SqlError::syntax("line 1:1: a query has one LIMIT or FETCH")),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.subqueries += usize::from(is_subquery(expr));
        if self.subqueries > SUBQUERIES_MAX {
            let message = format!("subqueries are more than {SUBQUERIES_MAX} deep in the expressions of one another");
            self.error = Some(SqlError::syntax(format!("STACK_OVERFLOW: statement is too large: {message}")));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.subqueries -= usize::from(is_subquery(expr));
        let taken = std::mem::replace(expr, null());
        match rewritten(taken) {
            Ok(new) => {
                *expr = new;
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

fn rewritten(expr: Expr) -> Result<Expr, SqlError> {
    Ok(match expr {
        Expr::Cast { kind, expr, data_type, .. } => cast_as(kind, *expr, &data_type)?,
        Expr::TypedString(TypedString { data_type: data_type @ DataType::Timestamp(..), value, .. }) => {
            cast_as(CastKind::Cast, Expr::Value(value), &data_type)?
        }
        Expr::Extract { field, expr, syntax } => cast(Expr::Extract { field, expr, syntax }, DataType::BigInt(None)),
        Expr::Function(function) => call(function)?,
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let from = substring_from.map_or_else(|| number(1), |from| *from);
            function("athena_substr", [*expr, from].into_iter().chain(substring_for.map(|length| *length)).collect())
        }
        other => other,
    })
}

fn cast_as(kind: CastKind, expr: Expr, data_type: &DataType) -> Result<Expr, SqlError> {
    if let Some(length) = text_length(data_type) {
        let text = function("athena_text", vec![expr]);
        return Ok(match length {
            None => text,
            Some(length) => function("substr", vec![text, number(1), number(length)]),
        });
    }
    let Some(data_type) = replaced(data_type) else {
        return Err(SqlError::user(format!("NOT_SUPPORTED: casts to {data_type} are not supported here")));
    };
    let is_whole = matches!(
        data_type,
        DataType::TinyInt(_) | DataType::SmallInt(_) | DataType::Int(_) | DataType::Integer(_) | DataType::BigInt(_)
    );
    // DataFusion truncates, Trino rounds.
    let expr = if is_whole { function("athena_whole", vec![expr]) } else { expr };
    Ok(cast_of(kind, expr, data_type))
}

/// A cast, or a TRY_CAST.
pub(super) fn cast_of(kind: CastKind, expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind, expr: Box::new(expr), data_type, format: None, array: false }
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    cast_of(CastKind::Cast, expr, data_type)
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    let nested = |expr| Box::new(Expr::Nested(Box::new(expr)));
    Expr::Nested(Box::new(Expr::BinaryOp { left: nested(left), op, right: nested(right) }))
}

fn case(condition: Expr, result: Expr, else_result: Option<Expr>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: else_result.map(Box::new),
    }
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

fn number(n: u64) -> Expr {
    Expr::Value(Value::Number(n.to_string(), false).into())
}

fn text(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

fn argument(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

fn list(args: Vec<FunctionArg>, clauses: Vec<FunctionArgumentClause>) -> FunctionArguments {
    FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses })
}

fn named(name: &str) -> ObjectName {
    ObjectName::from(vec![Ident::new(name)])
}

fn function(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(argument).collect();
    Expr::Function(Function {
        name: named(name),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: list(args, Vec::new()),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let one = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(one).collect()
}

fn call(mut call: Function) -> Result<Expr, SqlError> {
    let name = call.name.to_string();
    let Some(mut args) = arguments(&call) else {
        // A call without parentheses or with a wildcard.
        return Ok(match name.as_str() {
            "current_timestamp" | "localtimestamp" => now(Expr::Function(call), &name),
            _ => Expr::Function(call),
        });
    };
    if let Some((_, part)) = PARTS.iter().find(|(part, _)| *part == name).filter(|_| args.len() == 1) {
        args.insert(0, text(part));
        return Ok(cast(function("date_part", args), DataType::BigInt(None)));
    }
    match (name.as_str(), args.as_slice()) {
        ("now", []) => return Ok(now(Expr::Function(call), &name)),
        ("date", [one]) => return cast_as(CastKind::Cast, one.clone(), &DataType::Date),
        ("try", [Expr::Cast { expr, data_type, .. }]) => {
            return Ok(cast_of(CastKind::TryCast, expr.as_ref().clone(), data_type.clone()));
        }
        ("try", [one]) => return Ok(one.clone()),
        ("substr" | "substring", _) => return Ok(function("athena_substr", args)),
        ("date_trunc", [_, time]) => {
            let time = time.clone();
            return Ok(function("athena_truncated", vec![Expr::Function(call), time]));
        }
        // In Trino, a null argument makes the result null. DataFusion skips nulls.
        ("concat", [first, rest @ ..]) if !rest.is_empty() => {
            let join = |left: Expr, right: &Expr| binary(left, BinaryOperator::StringConcat, right.clone());
            return Ok(rest.iter().fold(first.clone(), join));
        }
        ("greatest" | "least", [first, rest @ ..]) => {
            let is_null = |expr: &Expr| Expr::IsNull(Box::new(Expr::Nested(Box::new(expr.clone()))));
            let or = |left: Expr, right: &Expr| binary(left, BinaryOperator::Or, is_null(right));
            let condition = rest.iter().fold(is_null(first), or);
            return Ok(case(condition, null(), Some(Expr::Function(call))));
        }
        // Trino returns bytes, DataFusion hexadecimal digits.
        ("md5", [one]) => return Ok(function("digest", vec![one.clone(), text("md5")])),
        ("to_hex", [one]) => return Ok(function("upper", vec![function("encode", vec![one.clone(), text("hex")])])),
        ("from_hex", [one]) => return Ok(function("decode", vec![one.clone(), text("hex")])),
        ("mod", [left, right]) => return Ok(binary(left.clone(), BinaryOperator::Modulo, right.clone())),
        ("if", [condition, result]) => return Ok(case(condition.clone(), result.clone(), None)),
        ("if", [condition, result, other]) => {
            return Ok(case(condition.clone(), result.clone(), Some(other.clone())));
        }
        ("count_if", [condition]) => {
            call.args = list(vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)], Vec::new());
            call.name = named("count");
            filter(&mut call, condition.clone());
        }
        ("max_by" | "min_by", [value, by]) => {
            let options = OrderByOptions { asc: Some(name == "min_by"), nulls_first: Some(false) };
            let order = OrderByExpr { expr: by.clone(), options, with_fill: None };
            call.args = list(vec![argument(value.clone())], vec![FunctionArgumentClause::OrderBy(vec![order])]);
            call.name = named("first_value");
            filter(&mut call, Expr::IsNotNull(Box::new(by.clone())));
        }
        ("listagg", [_, ..]) => {
            let order = std::mem::take(&mut call.within_group);
            let FunctionArguments::List(list) = &mut call.args else { return Ok(Expr::Function(call)) };
            if list.args.len() == 1 {
                list.args.push(argument(text("")));
            }
            if !order.is_empty() {
                list.clauses = vec![FunctionArgumentClause::OrderBy(order)];
            }
            call.name = named("string_agg");
        }
        ("to_utf8", [one]) => return Ok(cast(one.clone(), DataType::Bytea)),
        ("from_utf8", [one]) => return Ok(function("arrow_cast", vec![one.clone(), text("Utf8")])),
        // Trino replaces all matches, DataFusion the first.
        ("regexp_replace", [_, _]) => return Ok(function("regexp_replace", push(args, [text(""), text("g")]))),
        ("regexp_replace", [_, _, _]) => return Ok(function("regexp_replace", push(args, [text("g")]))),
        ("replace", [_, _]) => return Ok(function("replace", push(args, [text("")]))),
        _ => {
            if let Some((_, other)) = RENAMED.iter().find(|(trino, _)| *trino == name) {
                call.name = named(other);
            }
        }
    }
    let call = Expr::Function(call);
    Ok(if BIGINT.contains(&name.as_str()) { cast(call, DataType::BigInt(None)) } else { call })
}

fn push<const N: usize>(mut items: Vec<Expr>, more: [Expr; N]) -> Vec<Expr> {
    items.extend(more);
    items
}

/// Adds a condition to the filter of an aggregate.
fn filter(call: &mut Function, condition: Expr) {
    call.filter = Some(Box::new(match call.filter.take() {
        None => condition,
        Some(filter) => binary(*filter, BinaryOperator::And, condition),
    }));
}

/// The time of the query in milliseconds: local without a zone, or with one.
fn now(call: Expr, name: &str) -> Expr {
    let zone = if name == "localtimestamp" { TimezoneInfo::None } else { TimezoneInfo::WithTimeZone };
    let call = match call {
        Expr::Function(_) => function("now", Vec::new()),
        other => other,
    };
    cast(call, DataType::Timestamp(Some(3), zone))
}
