//! Settings that are numbers from a limited range.

/// Gives the setting `$count`, a tuple of one `u16`, its default, its text and its check, with an error for other numbers.
macro_rules! count {
    ($count:ident, default: $default:literal, is_allowed: $is_allowed:expr, $error:ident: $($expected:tt)*) => {
        impl $count {
            /// Returns the number.
            pub fn get(self) -> u16 {
                self.0
            }
        }

        impl Default for $count {
            fn default() -> Self {
                Self($default)
            }
        }

        #[doc = concat!("The error for a number that is no [`", stringify!($count), "`].")]
        #[derive(Debug, thiserror::Error)]
        #[error($($expected)*)]
        pub struct $error(String);

        impl TryFrom<u16> for $count {
            type Error = $error;

            fn try_from(count: u16) -> Result<Self, $error> {
                let is_allowed: fn(u16) -> bool = $is_allowed;
                if is_allowed(count) { Ok(Self(count)) } else { Err($error(count.to_string())) }
            }
        }

        impl From<$count> for u16 {
            fn from(count: $count) -> u16 {
                count.0
            }
        }

        impl std::fmt::Display for $count {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $count {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                let count = text.parse::<u16>().ok().and_then(|count| Self::try_from(count).ok());
                count.ok_or_else(|| $error(text.to_owned()))
            }
        }
    };
}

pub(crate) use count;
