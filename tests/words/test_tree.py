"""What a reader meets: the glossary's words in every file, and files of a length that can be read."""

import subprocess
from functools import cache
from pathlib import Path

import pytest
from words import RULES, Rule, find, tracked

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = {"README.md": 200, "another README": 300, "source": 500}


@cache
def tree() -> dict[str, str]:
    """The text of each file that is searched, by its path."""
    root, paths = tracked([ROOT])
    texts = {}
    for path in paths:
        try:
            texts[path] = (root / path).read_text()
        except (FileNotFoundError, UnicodeDecodeError):
            continue
    return texts


@cache
def hits() -> dict[str, list[str]]:
    """Where each word is."""
    found: dict[str, list[str]] = {rule.word: [] for rule in RULES}
    for path, text in tree().items():
        for line, what, rule in find(path, text):
            found[rule.word].append(f"{path}:{line}: {what} → {rule.instead}")
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.word)
def test_the_glossary_is_kept(rule: Rule) -> None:
    found = hits()[rule.word]
    shown = "\n".join(found[:20])
    assert not found, f"{len(found)} hits of {rule.word!r}; tests/words/words.py shows all\n{shown}"


def test_files_are_of_a_length_that_can_be_read() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    too_long = []
    for path in filter(None, listed.split("\0")):
        kind = "README.md" if path == "README.md" else "another README" if path.endswith("/README.md") else "source"
        if kind == "source" and not path.endswith((".rs", ".py")) or not (ROOT / path).exists():
            continue
        lines = len((ROOT / path).read_bytes().splitlines())
        if lines > LINES_MAX[kind]:
            too_long.append(f"{path} has {lines} lines, {kind} at most {LINES_MAX[kind]}")
    assert not too_long, "\n".join(too_long)


def test_the_tree_is_read() -> None:
    assert {"Cargo.toml", "README.md", "tests/run"} <= tree().keys()
    assert not any(path.startswith(("tests/words/", "target/")) or path.endswith("Cargo.lock") for path in tree())
