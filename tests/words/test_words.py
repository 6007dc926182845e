"""The search itself: what it finds, and what it leaves alone."""

import pytest
from words import RULES, find

FOUND = [
    # Each kind of text.
    ("a.rs", "// Whoever reads this.", "whoever"),
    ("a.rs", "/// What the charter fixes.", "charter"),
    ("a.rs", "let is_woken = true;", "wake"),
    ("a.rs", "struct ReadingCursor;", "cursor"),
    ("a.rs", "const UTF8_MARK: u8 = 0;", "mark"),
    ("a.rs", "fn fateOf() {}", "fate"),
    ("a.rs", "enum Put {\n    Done,\n    Lost,\n}", "lost"),
    ("a.rs", "let put = Put::Lost;", "lost"),
    ("a.rs", "let shards = store::all(reads).await;", "all (function)"),
    ("a.rs", "pub fn all<F>(work: F) {}", "all (function)"),
    ("a.rs", "pub async fn task<F>(work: F) {}", "task (function)"),
    ("a.rs", "pub struct Look {", "look (name)"),
    ("README.md", "The file lands in S3.", "land (verb)"),
    ("Cargo.toml", "# Nobody needs it.", "nobody"),
    ("run.sh", "echo 'the licence'", "licence"),
    ("main.tf", 'description = "Where files land."', "land (verb)"),
    ("topology.json", '"wakes": []', "wake"),
    ("weather/a.rs", "", "weather"),
    ("test_story.py", "", "story"),
    # Phrases, also over the end of a line, and as identifiers.
    ("a.rs", "// As a bulk\n// entry.", "bulk entry"),
    ("a.rs", "fn bulk_entries() -> BulkEntry {}", "bulk entry"),
    ("a.rs", "KeyNumbers", "key numbers"),
    ("a.md", "What is no\nnumber is null.", "is no"),
    ("a.rs", "fn what_is_no_statement_is_refused() {}", "is no"),
    # What an exception does not cover.
    ("a.rs", "#[derive(Debug)]\n// We derive the rows.", "derive"),
    ("a.py", "@pytest.mark.slow\nmark = 1", "mark"),
    ("shared/a.rs", "use crate::Cursor;", "cursor"),
    ("infra/terraform/queries/landing_file_accounts.sql", "", "account (of a file)"),
    ("a.md", "An AWS account has the accounts of files.", "account"),
    ("a.md", "## Glossary\n\n| law | invariant |", "law"),
    ("README.md", "## Glossary\n\n| x | y |\n\n## Next\n\nA law.", "law"),
]

ALLOWED = [
    ("a.rs", "#[derive(Clone, Debug)]\n#[cfg_attr(test, derive(PartialEq))]"),
    ("a.rs", "#[derive(\n    Clone,\n    Debug,\n)]"),
    ("Cargo.toml", 'publish = false\npublish.workspace = true\nclap = { features = ["derive"] }'),
    ("a.rs", "let derived = derived_objects();"),
    ("a.rs", "// The landing zone, an island, a lawn, awake, a trusted shard, a replaced placeholder."),
    ("a.py", "@pytest.mark.parametrize\npytestmark = pytest.mark.slow"),
    ("a.rs", "// A byte order mark, a question mark, the high-water mark, the benchmark."),
    ("a.py", "pyathena.connect(cursor_class=PandasCursor).cursor()"),
    ("tests/clients/test_pyathena.py", "cursor.fetchone()"),
    ("infra/emulator/sql/src/statement/lexer.rs", "struct Cursor<'a> {"),
    ("a.rs", "use std::io::Cursor;\nCursor::new(bytes)"),
    ("a.rs", "queue.pop_front(); queue.front()"),
    ("infra/emulator/src/event.rs", 'const ACCOUNT: &str = "000000000000";'),
    ("main.tf", '"sns:Publish"'),
    ("a.md", "It is no longer so. There is no such file. In place, at two decimal places, 0 stands for all."),
    ("a.md", "An AWS account, an account of yours, account_id, and IAM's trust policy."),
    ("a.rs", "futures::future::try_join_all(x); x.iter().all(|x| x); Kind::all(); look(x); Lost + 1"),
    ("shared/README.md", "## Glossary\n\n| law | invariant |\n\n### Sentences\n\nNo announcement.\n"),
]


@pytest.mark.parametrize(("path", "text", "word"), FOUND)
def test_a_word_is_found(path: str, text: str, word: str) -> None:
    assert word in {rule.word for _, _, rule in find(path, text)}


@pytest.mark.parametrize(("path", "text"), ALLOWED)
def test_exceptions_are_left_alone(path: str, text: str) -> None:
    assert [(line, found) for line, found, _ in find(path, text)] == []


def test_a_hit_has_the_number_of_its_line() -> None:
    hits = list(find("a.rs", "//! One.\n\n// A byte order mark\n// and a mark, woken_by `isWoken`.\n"))
    assert sorted((line, found) for line, found, _ in hits) == [(4, "mark"), (4, "woken"), (4, "woken")]


def test_what_to_use_instead_is_not_a_hit() -> None:
    assert len({rule.word for rule in RULES}) == len(RULES)
    for used in RULES:
        assert [rule.word for _, _, rule in find("a.md", used.instead)] == [], used.instead
