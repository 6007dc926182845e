//! Tables and objects that statements may read but not change. The caller names them, since this crate knows no tables.

use crate::error::SqlError;
use emulator_client::ObjectLocation;
use std::fmt;

/// Tables and objects that statements may read but not change. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected {
    /// The database of the tables. Statements cannot drop it.
    pub database: String,
    /// The names of the tables, lower case.
    pub tables: Vec<String>,
    /// The bucket of the objects.
    pub bucket: String,
    /// The prefixes of the objects, with a slash at the end, each with a description of its content.
    pub prefixes: Vec<(String, String)>,
    /// The reason of the protection and an alternative, for the end of each message.
    pub advice: String,
}

impl Protected {
    /// Refuses to change a protected table.
    pub(crate) fn check_table(&self, database: &str, table: &str) -> Result<(), SqlError> {
        match database == self.database && self.tables.iter().any(|name| name == table) {
            true => Err(self.denied(format_args!("cannot change table {database}.{table}"))),
            false => Ok(()),
        }
    }

    /// Refuses to drop the database of the protected tables.
    pub(crate) fn check_database(&self, database: &str) -> Result<(), SqlError> {
        match database == self.database && !self.tables.is_empty() {
            true => Err(self.denied(format_args!("cannot drop database {database}"))),
            false => Ok(()),
        }
    }

    /// Refuses to write to a folder that contains protected objects or is below a protected prefix.
    pub(crate) fn check_folder(&self, folder: &ObjectLocation) -> Result<(), SqlError> {
        let key = &folder.key;
        let overlaps = |prefix: &str| key.starts_with(prefix) || prefix.starts_with(key.as_str());
        match self.prefixes.iter().find(|(prefix, _)| folder.bucket == self.bucket && overlaps(prefix)) {
            Some((_, content)) => {
                Err(self.denied(format_args!("cannot write to {folder}, which overlaps the location of {content}")))
            }
            None => Ok(()),
        }
    }

    /// The description of the protected prefix that contains `folder`.
    pub(crate) fn content_at(&self, folder: &ObjectLocation) -> Option<&str> {
        let found = self.prefixes.iter().find(|(prefix, _)| folder.key.starts_with(prefix));
        found.filter(|_| folder.bucket == self.bucket).map(|(_, content)| content.as_str())
    }

    fn denied(&self, what: fmt::Arguments<'_>) -> SqlError {
        SqlError::user(format!("PERMISSION_DENIED: {what}: {}", self.advice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected() -> Protected {
        Protected {
            database: "shop".to_owned(),
            tables: vec!["orders".to_owned()],
            bucket: "shop".to_owned(),
            prefixes: vec![("orders/clean/".to_owned(), "table orders".to_owned())],
            advice: "write elsewhere".to_owned(),
        }
    }

    fn folder(key: &str) -> ObjectLocation {
        ObjectLocation { bucket: "shop".to_owned(), key: key.to_owned() }
    }

    #[test]
    fn protected_folder_is_refused_with_advice() {
        let check = |key: &str| protected().check_folder(&folder(key)).map_err(|error| error.message);
        let denied = "PERMISSION_DENIED: cannot write to s3://shop/orders/, which overlaps the location of table orders: write elsewhere";
        assert_eq!(check("orders/"), Err(denied.to_owned()));
        assert!(check("orders/clean/dt=1/").is_err());
        assert!(check("").is_err());
        assert_eq!(check("orders/raw/"), Ok(()));
        assert_eq!(Protected::default().check_folder(&folder("")), Ok(()));
    }

    #[test]
    fn folder_around_protected_objects_has_no_protected_content() {
        assert_eq!(protected().content_at(&folder("orders/clean/dt=1/")), Some("table orders"));
        assert_eq!(protected().content_at(&folder("orders/")), None);
    }

    #[test]
    fn table_of_same_name_in_other_database_is_free() {
        assert!(protected().check_table("shop", "orders").is_err());
        assert_eq!(protected().check_table("other", "orders"), Ok(()));
        assert_eq!(protected().check_table("shop", "mine"), Ok(()));
        assert!(protected().check_database("shop").is_err());
        assert_eq!(Protected::default().check_database(""), Ok(()));
    }
}
