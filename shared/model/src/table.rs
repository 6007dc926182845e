//! The eight tables. The Parquet schema, the Glue table and the DDL all use this one definition of a table's columns.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The type of a column, spelled as in Athena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// UTF-8 text.
    String,
    /// A 64-bit integer. All times have this type: milliseconds since 1970, UTC.
    BigInt,
    /// A 32-bit integer.
    Int,
    /// A 64-bit float. It represents the numbers of the JSON files without loss.
    Double,
    /// True or false.
    Boolean,
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::BigInt => "bigint",
            Self::Int => "int",
            Self::Double => "double",
            Self::Boolean => "boolean",
        })
    }
}

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name, lower case.
    pub name: &'static str,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether a row may lack it.
    pub nullable: bool,
    /// Its meaning, for the catalog.
    pub comment: &'static str,
}

const fn column(name: &'static str, kind: ColumnType, comment: &'static str) -> Column {
    Column { name, kind, nullable: false, comment }
}

const fn optional(name: &'static str, kind: ColumnType, comment: &'static str) -> Column {
    Column { name, kind, nullable: true, comment }
}

use ColumnType::{BigInt, Boolean, Double, Int, String as Text};

const CUSTOMER: &[Column] = &[
    optional("customername", Text, "full name"),
    column("email", Text, "the customer's identity"),
    optional("phone", Text, "phone number"),
    optional("birthday", Text, "date of birth as text, since years before 1677 occur"),
    optional("serialnumber", Text, "serial number of the customer's step trainer"),
    optional("registrationdate", BigInt, "ms since 1970 UTC"),
    optional("lastupdatedate", BigInt, "ms since 1970 UTC; the latest grant of a customer counts"),
    optional("sharewithresearchasofdate", BigInt, "ms since 1970 UTC; absent or 0: no consent to research"),
    optional("sharewithpublicasofdate", BigInt, "ms since 1970 UTC"),
    optional("sharewithfriendsasofdate", BigInt, "ms since 1970 UTC"),
];

const ACCELEROMETER: &[Column] = &[
    column("user", Text, "email of the customer"),
    column("timestamp", BigInt, "time of the reading, ms since 1970 UTC"),
    column("x", Double, "acceleration along x"),
    column("y", Double, "acceleration along y"),
    column("z", Double, "acceleration along z"),
];

const STEP_TRAINER_LANDING: &[Column] = &[
    column("sensorreadingtime", BigInt, "time of the reading, ms since 1970 UTC"),
    column("serialnumber", Text, "serial number of the step trainer"),
    column("distancefromobject", Int, "distance of the object"),
];

const STEP_TRAINER_TRUSTED: &[Column] = &[
    STEP_TRAINER_LANDING[0],
    STEP_TRAINER_LANDING[1],
    STEP_TRAINER_LANDING[2],
    column("user", Text, "email of the device's owner: the customer with the latest record"),
];

const MACHINE_LEARNING: &[Column] = &[
    STEP_TRAINER_LANDING[0],
    STEP_TRAINER_LANDING[2],
    ACCELEROMETER[2],
    ACCELEROMETER[3],
    ACCELEROMETER[4],
    column("same_customer", Boolean, "whether steps and motion are of one customer"),
];

/// The partition columns of every partitioned table: strings, from the UTC time of the reading.
pub const PARTITION_COLUMNS: &[Column] = &[
    column("dt", Text, "UTC date of the reading, 2022-06-18"),
    column("hour", Text, "UTC hour of the reading, 00 to 23"),
];

/// How the files of a table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The landing files: JSON, read by the OpenX SerDe.
    Json,
    /// Parquet, zstd.
    Parquet,
}

/// The storage descriptor of a table in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// The Hive class that splits and reads files.
    pub input_format: &'static str,
    /// The Hive class that writes files.
    pub output_format: &'static str,
    /// The SerDe, which turns a record into a row.
    pub serialization_library: &'static str,
    /// The SerDe's parameters: name and value.
    #[serde(serialize_with = "as_map")]
    pub parameters: &'static [(&'static str, &'static str)],
}

fn as_map<S: serde::Serializer>(pairs: &&[(&str, &str)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}

impl Format {
    /// Returns its name, as in a table's `classification`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Parquet => "parquet",
        }
    }

    /// Returns the storage descriptor of files of this format.
    pub const fn storage(self) -> Storage {
        match self {
            Self::Json => Storage {
                input_format: "org.apache.hadoop.mapred.TextInputFormat",
                output_format: "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                serialization_library: "org.openx.data.jsonserde.JsonSerDe",
                // The published solutions declare the landing tables with the same parameters. Field names match in any
                // case. A broken line of a landing file does not fail a query.
                parameters: &[
                    ("serialization.format", "1"),
                    ("ignore.malformed.json", "TRUE"),
                    ("dots.in.keys", "FALSE"),
                    ("case.insensitive", "TRUE"),
                    ("mapping", "TRUE"),
                ],
            },
            Self::Parquet => Storage {
                input_format: "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                output_format: "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                serialization_library: "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
                parameters: &[("serialization.format", "1")],
            },
        }
    }
}

/// A table of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Customer records as they arrive.
    CustomerLanding,
    /// Accelerometer readings as they arrive.
    AccelerometerLanding,
    /// Step trainer readings as they arrive.
    StepTrainerLanding,
    /// The customers with a grant in force.
    CustomerTrusted,
    /// The accelerometer readings of consenting customers.
    AccelerometerTrusted,
    /// The consenting customers with an ingested accelerometer reading that the policy admits.
    CustomerCurated,
    /// The step trainer readings of curated customers.
    StepTrainerTrusted,
    /// The training table, without personal columns.
    MachineLearningCurated,
}

impl Table {
    /// All eight tables, the landing tables first.
    pub const ALL: [Table; 8] = [
        Table::CustomerLanding,
        Table::AccelerometerLanding,
        Table::StepTrainerLanding,
        Table::CustomerTrusted,
        Table::AccelerometerTrusted,
        Table::CustomerCurated,
        Table::StepTrainerTrusted,
        Table::MachineLearningCurated,
    ];

    /// The five derived tables, in the order of the data flow.
    pub const DERIVED: [Table; 5] = [
        Table::CustomerTrusted,
        Table::AccelerometerTrusted,
        Table::CustomerCurated,
        Table::StepTrainerTrusted,
        Table::MachineLearningCurated,
    ];

    /// Returns its name in the catalog. The function that materializes the table has the same name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CustomerLanding => "customer_landing",
            Self::AccelerometerLanding => "accelerometer_landing",
            Self::StepTrainerLanding => "step_trainer_landing",
            Self::CustomerTrusted => "customer_trusted",
            Self::AccelerometerTrusted => "accelerometer_trusted",
            Self::CustomerCurated => "customer_curated",
            Self::StepTrainerTrusted => "step_trainer_trusted",
            Self::MachineLearningCurated => "machine_learning_curated",
        }
    }

    /// Returns the prefix of its objects, with the slash at the end. No other objects have this prefix.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::CustomerLanding => "customer/landing/",
            Self::AccelerometerLanding => "accelerometer/landing/",
            Self::StepTrainerLanding => "step_trainer/landing/",
            Self::CustomerTrusted => "customer/trusted/",
            Self::AccelerometerTrusted => "accelerometer/trusted/",
            Self::CustomerCurated => "customer/curated/",
            Self::StepTrainerTrusted => "step_trainer/trusted/",
            Self::MachineLearningCurated => "step_trainer/curated/",
        }
    }

    /// Returns its columns without the partition columns.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::CustomerLanding | Self::CustomerTrusted | Self::CustomerCurated => CUSTOMER,
            Self::AccelerometerLanding | Self::AccelerometerTrusted => ACCELEROMETER,
            Self::StepTrainerLanding => STEP_TRAINER_LANDING,
            Self::StepTrainerTrusted => STEP_TRAINER_TRUSTED,
            Self::MachineLearningCurated => MACHINE_LEARNING,
        }
    }

    /// Returns its partition columns: `dt` and `hour`, or none.
    pub const fn partition_columns(self) -> &'static [Column] {
        match self {
            Self::AccelerometerTrusted | Self::StepTrainerTrusted | Self::MachineLearningCurated => PARTITION_COLUMNS,
            _ => &[],
        }
    }

    /// Returns the format of its files.
    pub const fn format(self) -> Format {
        match self {
            Self::CustomerLanding | Self::AccelerometerLanding | Self::StepTrainerLanding => Format::Json,
            _ => Format::Parquet,
        }
    }

    /// Returns the table's comment in the catalog.
    pub const fn comment(self) -> &'static str {
        match self {
            Self::CustomerLanding => "customer records as they came",
            Self::AccelerometerLanding => "accelerometer readings as they came",
            Self::StepTrainerLanding => "step trainer readings as they came",
            Self::CustomerTrusted => "customers with a consent to research in force",
            Self::AccelerometerTrusted => "accelerometer readings of trusted customers",
            Self::CustomerCurated => "trusted customers who have, or once had, an accelerometer reading that counts",
            Self::StepTrainerTrusted => "step trainer readings of curated customers",
            Self::MachineLearningCurated => {
                "step trainer and accelerometer readings of the same instant, without personal columns"
            }
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_names_are_lower_case_and_prefixes_do_not_overlap() {
        for table in Table::ALL {
            for column in table.columns().iter().chain(table.partition_columns()) {
                assert_eq!(column.name, column.name.to_lowercase());
            }
            for other in Table::ALL {
                assert!(
                    table == other || !table.prefix().starts_with(other.prefix()),
                    "{table} has the prefix of {other}"
                );
            }
        }
    }

    #[test]
    fn the_training_table_has_no_personal_column() {
        for column in Table::MachineLearningCurated.columns() {
            assert!(!["customername", "email", "user", "phone", "birthday", "serialnumber"].contains(&column.name));
        }
    }
}
