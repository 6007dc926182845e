//! The long texts of the command line. Lines have 80 columns at most.

use std::sync::LazyLock;
use store::lake::FORMAT;

/// Help is wrapped at this width, also on wider terminals.
pub(crate) const COLUMNS: usize = 80;

/// What `stedi --version` prints behind the name.
pub(crate) static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{}, stored format {FORMAT})", env!("STEDI_VERSION")));

pub(crate) const MORE: &str = "\
`stedi --help` explains more, and `stedi COMMAND --help` all of a command.";

pub(crate) const STEDI: &str = "\
First steps:
  stedi run                  generate sample data, ingest it, show the tables
  stedi tables               show what is in the lake now
  stedi query 'SELECT count(*) FROM customer_trusted'
                             query the tables, as Athena does
  stedi generate landing     write sample landing files, to read or to change
  stedi run landing          ingest them; run it again after a change
  stedi up                   serve S3, Glue and Athena; uploads are ingested
  stedi simulate             run the functions under faults, in simulated time

The lake is plain files: ./lake/stedi/KEY. Any Parquet reader reads the tables.
One command at a time can use a lake; only `stedi query` and `stedi tables` can
use it beside a `stedi up`.
To ingest a landing file anew, remove its receipt below ./lake/stedi/receipts/
and run `stedi run` with it again.

Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted by Ctrl-C.
RUST_LOG=info writes the functions' logs to standard error.";

/// What `stedi` alone prints.
pub(crate) const FIRST_STEPS: &str = "\
STEDI Lake on one machine: its five functions on an emulated S3, Glue and event
dispatcher.

First steps:
  stedi run        generate sample data, ingest it, show the tables
  stedi up         serve S3, Glue and Athena here; what your client uploads is
                   ingested
  stedi query 'SELECT count(*) FROM customer_trusted'
                   query the tables, as Athena does
  stedi tables     show what is in the lake now

`stedi --help` explains more, and `stedi COMMAND --help` all of a command.";

pub(crate) const RUN: &str = "\
Files that the lake holds in the same version are skipped, and so are files
whose name begins with a dot. The command ends when all that follows from the
files is done: every table is then up to date.

  stedi run                                ingest generated sample data
  stedi run landing                        ingest the files in ./landing
  stedi run landing --lake other --json    use another lake, report in JSON
  stedi run landing --consent at-reading   make a lake of the other policy";

pub(crate) const UP: &str = "\
Standard output begins with lines for a shell, `export AWS_ENDPOINT_URL=...` and
so on: paste them where your S3 client or the functions run. A line for each
landing file follows when a function has finished it, with the row counts of its
receipt (--quiet leaves them out):

  s3://stedi/customer/landing/a.json: 956 rows = 482 kept
    + 474 excluded (no_consent 474) + 0 quarantined, 35 ms

The time runs from the upload to the receipt, when the rows are in the trusted
table. A line without a time is of a file that was uploaded before this
`stedi up` started. A later file or a change of consent prints no second line.

Ctrl-C lets requests and calls under way finish. The next `stedi up` or
`stedi run` of the lake delivers the events that are left, also after a kill.
No function ever sees what was uploaded with --no-functions: ingest it with
`stedi run FOLDER`, or invoke the functions yourself.

  stedi up > up.log &
  until grep -q '^# Upload' up.log; do sleep 0.1; done
  eval \"$(grep ^export up.log)\"
  aws s3 sync landing s3://stedi";

pub(crate) const TABLES: &str = "\
Times are UTC. Rows come from the footers of Parquet files, the numbers of the
landing files from their receipts. But the kept rows are those of the trusted
table now, and the excluded rows are all others that could be read. --json has
whole times and exact sizes.

  stedi tables
  stedi tables --partitions
  stedi tables --json | jq .tables.customer_trusted.rows";

pub(crate) const QUERY: &str = "\
The catalog says where the tables are, as for Athena: a partition that is not
registered is not read. The dialect is Athena's, as far as DataFusion has it.
Names match in any case; `user` and `timestamp` need no quotes.

  stedi query                                    a prompt; Ctrl-D ends it
  stedi query 'SELECT count(*) FROM customer_trusted'
  stedi query 'SHOW PARTITIONS accelerometer_trusted'
  stedi query 'SELECT * FROM machine_learning_curated' -o training.parquet
  stedi query -f report.sql --format csv
  echo 'SELECT 1; SELECT 2' | stedi query
  stedi query --explain 'SELECT DISTINCT dt FROM step_trainer_trusted'

A terminal gets lines cut to its width; files and pipes get all. While a
`stedi up` has the lake, the query reads it over HTTP. The exit status is 1 if a
statement fails; no later statement runs then.";

pub(crate) const GENERATE: &str = "\
Examples:
  stedi generate landing
  stedi generate landing --customers 10 --seed 7 --dirty
  stedi run landing";

pub(crate) const SIMULATE: &str = "\
What happens: each seed gives a small scenario (customers who consent, withdraw
and change devices; files that arrive, are replaced and are damaged) and its
faults (events late, twice and out of order; functions killed or stalled for
minutes; requests refused, timed out, or with a lost response). The real
functions run through the real AWS SDK against an emulated S3 and Glue, on a
simulated clock. A run takes some 0.1 seconds for days of simulated time, and is
the same each time, in any process.

What is checked: after every single write, that no row of a customer who never
consented is there, that the training table holds nothing personal, and that
equal rows give equal bytes. Whenever no event is left to deliver, that the
tables are those that a plain, separate implementation of their definitions
gives, without the customers who withdrew, with row counts that add up, and with
the right partitions. At the end, that delivering every event once more writes
nothing.

When an invariant is violated: the seed and the command that shows it are
printed, a smaller case is searched for and written to
./stedi-simulation-SEED.json, and the exit status is 1.
`stedi simulate --replay FILE` runs that file.

What is not covered: faults of AWS itself, bodies that end half-way, memory and
CPU time, large and strange files (they have their own tests), landing files
that are deleted, and upgrades from one version to the next.

  stedi simulate --runs 100
  stedi simulate --seed 7 --runs 1 --trace
  stedi simulate --faults kill,stall";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  stedi completions bash > ~/.local/share/bash-completion/completions/stedi
  stedi completions zsh > ~/.zfunc/_stedi
  stedi completions fish > ~/.config/fish/completions/stedi.fish";

pub(crate) const MAN: &str = "\
Examples:
  stedi man | man -l -
  stedi man run > ~/.local/share/man/man1/stedi-run.1";
