#!/usr/bin/env python3
"""Finds the words that the glossary of shared/README.md replaces, in every tracked file and in its path.

usage: words.py [--summary] [PATH]...

A PATH (file or folder) restricts the search; new files that git does not ignore count too. --summary leaves out the single
hits. Each hit is a line `path:line: word → use instead`, line 0 for the path; hits by word follow. The exit status is 1 if
there is a hit.

Identifiers are split: `isWoken`, `woken_at` and `woken-by` all hold the word woken. RULES says what is searched for, and
what is an exception, with its reason.
"""

import argparse
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

# Between two words of a phrase: blanks, the parts of an identifier, a new line of a comment or of a quotation.
GAP = r"(?:[\s_-]+(?:(?://[/!]?|#|\*|>)\s*)?)"
# Where an identifier in camel case is split.
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z])(?=[0-9])")
NOT_READ = re.compile(
    r"(^|/)(Cargo\.lock|\.terraform\.lock\.hcl|LICENSE)$|\.svg$|^tests/fuzz/(corpus|regressions)/|^tests/words/"
)
# The table that defines the words may name them.
GLOSSARY = re.compile(r"^(#+) Glossary\b.*?(?=^#{1,2} |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Allowed:
    """An exception: text that may hold the word, or files that may."""

    reason: str
    text: str = ""
    path: str = ""


class Rule:
    """A word that goes, what is used instead, and where it may stay."""

    def __init__(self, word, instead, *allowed, forms=None, code=None, files=""):
        """`forms` is a regex over text in lower case whose identifiers are split; `code` one over text as it is written."""
        self.word, self.instead, self.code = word, instead, code is not None
        self.pattern = re.compile(code or rf"\b(?:{(forms or word).replace(' ', GAP)})\b")
        self.files = re.compile(files)
        self.texts = [re.compile(one.text, re.IGNORECASE | re.MULTILINE) for one in allowed if one.text]
        self.paths = [re.compile(one.path) for one in allowed if one.path]

    def hits(self, path, text, split):
        """Yields line and text of each hit; `split` is `text` with its identifiers split."""
        if not self.files.search(path) or any(allowed.search(path) for allowed in self.paths):
            return
        if not self.pattern.search(text if self.code else split):
            return
        for allowed in self.texts:
            text = allowed.sub(lambda match: blank(match[0]), text)
        searched = text if self.code else split_identifiers(text)
        for match in self.pattern.finditer(searched):
            yield searched.count("\n", 0, match.start()) + 1, " ".join(match[0].split())


def blank(text):
    """Returns as many lines, without their words."""
    return re.sub(r"[^\n]", " ", text)


def split_identifiers(text):
    return CAMEL.sub(" ", text).replace("_", " ").lower()


# Where AWS's accounts are meant, and not those of files. EventBridge's events have a field of that name.
AWS_ACCOUNTS = r"^infra/(terraform|emulator)/|^tests/clients/test_aws_cli\.py$|^tests/aws/(\w*policies|moto_\w+|deployment|test_(roles|metrics))\.py$"
AWS_ACCOUNT = rf"account_?ids?\b|source_?account|\x22account\x22: |\b(AWS|your|own){GAP}accounts?\b|\baccounts?{GAP}of{GAP}(yours|your|AWS)\b"
IN_PLACE = rf"(?<![A-Za-z])in{GAP}place\b|\b(takes?|took|taken|taking){GAP}place\b|\bin{GAP}the{GAP}first{GAP}place\b"
PUBLISHED = r"(?<![a-z])published[ _](counts?|solutions?|ones)\b|are published|test_published"
# The crates whose functions run work concurrently.
OURS = r"\b(?:runtime|store|engine|crate)"
RUST = r"\.rs$"
RULES = [
    # The protocol.
    Rule("announce", "manifest, write a manifest", forms=r"announc\w*|unannounced"),
    Rule(
        "cursor",
        "checkpoint (of a function), position",
        Allowed("Python's DB-API calls it so", path=r"^tests/clients/|^tests/aws/test_queries\.py$"),
        Allowed("PyAthena calls it so", text=r"cursor_class|(Pandas|Arrow|Dict|Async)Cursor|pyathena\S*cursor|\.cursor\("),
        Allowed("a parser's position among tokens, as in syn", path=r"^infra/emulator/sql/src/"),
        Allowed("a code of Athena's errors", text=r"HIVE_CURSOR_ERROR"),
        Allowed("the standard library's reader of bytes", text=r"\bio::\{?[\w, ]*Cursor\b|\bCursor::new|\bCursor<"),
        forms="cursors?",
    ),
    Rule(
        "mark",
        "fence; set",
        Allowed("pytest's word", text=r"pytest\.mark\b"),
        Allowed("punctuation", text=rf"\b(question|quotation|exclamation|byte{GAP}order){GAP}marks?\b"),
        Allowed("a term of its own", text=rf"high{GAP}water{GAP}marks?\b"),
        forms="marks?|marked|marking",
    ),
    Rule("propagate", "reprocess", forms=r"propagat\w*"),
    Rule("readers register", "latest-reading index", forms="readers registers?|register of readers"),
    Rule("charter", "lake config", forms="charters?"),
    Rule(
        "front",
        "header; before",
        Allowed("an end of a queue", text=r"\b(push|pop)_front\b|\.front(_mut)?\(\)"),
        forms="fronts?",
    ),
    Rule("bulk entry", "index segment", forms="bulk entr(?:y|ies)"),
    Rule("merged entry", "compacted segment", forms="merged entr(?:y|ies)"),
    Rule("unmerged", "pending compaction"),
    Rule("key numbers", "key map", forms="key numbers?"),
    Rule(
        "publish",
        "commit",
        Allowed("Cargo's key", text=r"^publish(\.workspace)? ?= ?\w+"),
        Allowed("an action of SNS, and what CloudWatch and S3 do with it", path=r"^infra/terraform/|^tests/aws/moto_\w+\.py$"),
        Allowed("an action of SNS", text=r"sns:Publish|\bPublishBatch\b|publish_batch|\bsns\S*\.publish\b"),
        Allowed("a setting of Athena", text=r"publish_cloud_?watch_metrics\w*|PublishCloudWatchMetrics\w*"),
        Allowed("the course published a solution", text=PUBLISHED),
        forms=r"publish\w*|unpublished",
    ),
    Rule(
        "derive",
        "materialize; compute",
        Allowed("Rust's attribute", text=r"#!?\[(cfg_attr\([^\]]*)?derive\([^\]]*\]"),
        Allowed("a feature of clap and serde", text=r"\"derive\""),
        forms=r"derives?|deriving|derivations?",
    ),
    Rule("stands", "is committed; is", Allowed("to represent", text=rf"\bstands{GAP}for\b")),
    Rule("lost", "Conflict", code=r"::Lost\b|[{,]\s*Lost\s*[,}({=]", files=RUST),
    Rule(
        "place",
        "location, position, byte range; put",
        Allowed("ordinary English", text=IN_PLACE),
        Allowed("digits of a decimal number", text=rf"\bdecimal{GAP}places?\b"),
        forms="places?|placed|placing",
    ),
    # Rows, receipts, consent.
    Rule(
        "account",
        "row counts",
        Allowed("AWS's accounts", path=AWS_ACCOUNTS),
        Allowed("AWS's accounts", text=AWS_ACCOUNT),
        forms="accounts?|accounted|accounting",
    ),
    Rule(
        "account (of a file)",
        "row counts",
        forms="files? accounts?|accounts? (?:of|per) (?:a |each |every )?(?:landing )?files?",
        files=AWS_ACCOUNTS,
    ),
    Rule("fate", "outcome", forms="fates?"),
    Rule("told", "message; said"),
    Rule(
        "trust",
        "consent, eligible; rely on",
        Allowed("IAM's term", text=rf"\btrust{GAP}polic(y|ies)\b"),
        forms="trusts?|trusting",
    ),
    Rule("land (verb)", "ingest, upload, arrive", forms="lands?|landed"),
    Rule(
        "wake",
        "trigger",
        Allowed("Rust's task interface", text=r"\bwake(_by_ref)?\(\)|\bWaker?\b"),
        forms="wakes?|woken|woke|waking",
    ),
    Rule("owe", "undelivered, pending", forms="owe[sd]?|owing"),
    # The simulation.
    Rule("law", "invariant", forms="laws?"),
    Rule("weather", "fault profile", forms="weathers?"),
    Rule("crew", "workers", forms="crews?"),
    Rule("story", "description", forms="story|stories"),
    Rule("ambush", "targeted stall", forms="ambush(?:e[sd]|ing)?"),
    Rule("hurry", "the field's word", forms="hurry|hurries|hurried"),
    Rule("befell", "happened", forms="befell|befalls?|befallen"),
    Rule("figures", "statistics, numbers"),
    Rule(
        "look (name)",
        "snapshot",
        code=r"\bfn look\b|\b(?:struct|enum|trait|type) Looks?\b|\bLook\b(?=[<(:{,;)]| \{)",
        files=RUST,
    ),
    # Concurrency.
    Rule("spread", "join_bounded; distribute"),
    Rule("all (function)", "try_join_bounded", code=rf"{OURS}::all\(|\bfn all<", files=RUST),
    Rule("task (function)", "spawn", code=rf"{OURS}::task\(|\bfn task\b", files=RUST),
    # Prose.
    Rule("whoever", "name the actor", forms="who(?:so)?ever|whomever|whose(?:so)?ever"),
    Rule("somebody", "name the actor"),
    Rule("nobody", "name the actor"),
    Rule("of whom", "name the actor"),
    Rule(
        "is no",
        "is not a; plain verbs",
        Allowed("plain English", text=rf"is{GAP}no{GAP}(longer|more|less|fewer|such|one)|\bthere{GAP}is{GAP}no\b"),
        forms=r"is no(?=\s+\w)",
    ),
    Rule("comes again", "is delivered again; returns", forms="comes? again"),
    Rule("catalogue", "catalog", forms=r"catalogue\w*"),
    Rule("licence", "license", forms=r"licence\w*"),
]


def tracked(paths):
    """Returns the root of the work tree and the files in it that are searched, as paths from the root."""
    root = git("rev-parse", "--show-toplevel").strip()
    listed = git("ls-files", "-z", "--full-name", "--cached", "--others", "--exclude-standard", "--", *(paths or [root]))
    return Path(root), sorted({path for path in listed.split("\0") if path and not NOT_READ.search(path)})


def git(*arguments):
    done = subprocess.run(["git", *arguments], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(2)
    return done.stdout


def find(path, text):
    """Yields line, text found and rule of every hit in a file. Line 0 is its path."""
    if path.endswith("README.md"):
        text = GLOSSARY.sub(lambda match: blank(match[0]), text)
    # The path is searched as a line of its own before the text.
    text = f"{path}\n{text}"
    split = split_identifiers(text)
    for rule in RULES:
        for line, found in rule.hits(path, text, split):
            yield line - 1, found, rule


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true", help="only the numbers")
    parser.add_argument("paths", metavar="PATH", nargs="*")
    arguments = parser.parse_args()
    root, paths = tracked(arguments.paths)
    words = Counter()
    for path in paths:
        try:
            text = (root / path).read_text()
        except (OSError, UnicodeDecodeError):
            continue
        for line, found, rule in sorted(find(path, text), key=lambda hit: hit[0]):
            words[rule.word] += 1
            if not arguments.summary:
                print(f"{path}:{line}: {found} → {rule.instead}")
    for name, number in words.most_common():
        print(f"{number:6} {name}")
    print(f"{words.total()} hits in {len(paths)} files")
    return 1 if words else 0


if __name__ == "__main__":
    sys.exit(main())
