#![allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use super::*;

fn keys() -> Vec<Key> {
    let key = |name: &str, kind: &str| Key { name: name.into(), kind: kind.into() };
    vec![key("dt", "string"), key("hour", "string"), key("year", "int"), key("day", "date")]
}

/// Checks whether the partition dt=2022-06-18/hour=14/year=2022/day=2022-06-18 matches.
fn check(expression: &str, expected: bool) {
    let filter = Filter::parse(expression, keys()).unwrap().unwrap();
    let values = ["2022-06-18", "14", "2022", "2022-06-18"].map(str::to_owned);
    assert_eq!(filter.matches(&values), expected, "{expression}");
}

#[test]
fn expressions_match_partition_values() {
    for (expression, expected) in [
        ("dt='2022-06-18'", true),
        ("dt = '2022-06-18' AND hour>='14'", true),
        ("dt = '2022-06-18' and hour > '14'", false),
        ("`dt` == '2022-06-18' AND \"HOUR\" != '15'", true),
        ("dt <> '2022-06-18' OR hour = '14'", true),
        ("dt = 'x' OR hour = 'x' AND year = 2022", false),
        ("(dt = 'x' OR hour = '14') AND year = 2022", true),
        ("NOT (dt = '2022-06-18')", false),
        ("NOT dt = 'x' AND year < 2023", true),
        ("hour IN ('13', '14')", true),
        ("hour NOT IN ('13','14')", false),
        ("dt BETWEEN '2022-06-01' AND '2022-06-30'", true),
        ("year NOT BETWEEN 2000 AND 2021", true),
        ("dt LIKE '2022-%-1_'", true),
        ("dt NOT LIKE '2022%'", false),
        ("dt LIKE '%-06-%8'", true),
        ("'2022-06-17' < dt", true),
        ("2023 <= year", false),
        ("year = '2022'", true),
        ("year = 2022.0", true),
        ("year > -1", true),
        ("day >= date '2022-06-18'", true),
        ("dt IS NULL", false),
        ("dt IS NOT NULL", true),
    ] {
        check(expression, expected);
    }
}

#[test]
fn numbers_are_compared_as_numbers() {
    let filter = Filter::parse("year < 10", keys()).unwrap().unwrap();
    let values = ["", "", "9", ""].map(str::to_owned);
    assert!(filter.matches(&values));
}

#[test]
fn comparisons_with_null_are_unknown() {
    let values = [NULL, "14", "2022", "2022-06-18"].map(str::to_owned);
    for (expression, expected) in
        [("dt = 'x'", false), ("NOT dt = 'x'", false), ("dt IS NULL", true), ("dt = 'x' OR hour = '14'", true)]
    {
        let filter = Filter::parse(expression, keys()).unwrap().unwrap();
        assert_eq!(filter.matches(&values), expected, "{expression}");
    }
}

#[test]
fn quotes_are_doubled_within_a_text() {
    let filter = Filter::parse("dt = 'it''s'", keys()).unwrap().unwrap();
    assert!(filter.matches(&["it's".to_owned()]));
}

#[test]
fn an_empty_expression_filters_nothing() {
    assert!(Filter::parse("  ", keys()).unwrap().is_none());
}

#[test]
fn an_invalid_expression_is_refused() {
    let deep = format!("{}dt = ''{}", "(".repeat(200), ")".repeat(200));
    let long = format!("dt = '{}'", "x".repeat(EXPRESSION_BYTES_MAX));
    for expression in [
        "dt",
        "dt =",
        "= '1'",
        "dt = '1",
        "dt = 1",
        "dt = hour",
        "year = 'soon'",
        "year LIKE '2%'",
        "other = '1'",
        "dt = '1' hour = '2'",
        "dt = '1' AND",
        "(dt = '1'",
        "dt = '1')",
        "dt IN ()",
        "dt IS '1'",
        "dt BETWEEN '1' OR '2'",
        "year = 2022x",
        "dt = '1'; drop",
        &deep,
        &long,
    ] {
        let refusal = Filter::parse(expression, keys()).expect_err(expression);
        assert_eq!(refusal.code, "InvalidInputException", "{expression}");
    }
}
