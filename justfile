# An index of commands. `just` lists the recipes; each calls one existing command. Install it with
# `cargo install just --locked` or `pip install rust-just`.

# Lists the recipes.
default:
    @just --list

# Runs the lake on sample data or on a folder of landing files, below ./lake.
run *ARGUMENTS:
    cargo run --release -- run {{ARGUMENTS}}

# Serves S3, Glue and Athena until Ctrl-C.
up *ARGUMENTS:
    cargo run --release --features query -- up {{ARGUMENTS}}

# Runs all tests, or one part: `just test simulation`.
test *PART:
    tests/run {{PART}}

# Runs the Rust tests whose name contains NAME.
test-one NAME *ARGUMENTS:
    tests/run rust {{NAME}} {{ARGUMENTS}}

# Runs the whole lake under faults and random schedules, with RUNS seeds.
simulate RUNS="1500":
    cargo run --release -- simulate --runs {{RUNS}}

# Checks format, lints and dependencies.
lint:
    .ci/run lint

# Finds words that the glossary replaces, in the whole tree or below some paths.
words *PATHS:
    tests/words/words.py {{PATHS}}

# Builds the documentation of all crates.
docs:
    cargo doc --no-deps --workspace --features stedi/query --release --locked

# Measures a run on this machine.
bench *ARGUMENTS:
    tests/benchmarks/compare.py {{ARGUMENTS}}

# Builds target/lambda/NAME/bootstrap.zip for the five functions.
package *ARGUMENTS:
    infra/package {{ARGUMENTS}}

# Shows what a deployment would change.
plan *ARGUMENTS:
    terraform -chdir=infra/terraform plan {{ARGUMENTS}}

# Runs every check that must pass before a change is merged.
ci:
    .ci/run
