//! A request of a function, as the trace shows it.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use percent_encoding::percent_decode_str;
use std::fmt;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Get { key: String },
    Head { key: String },
    Put { key: String, condition: String },
    Delete { key: String },
    List { prefix: String },
    Glue { call: String },
    Other { what: String },
}

impl Operation {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let header = |name: &str| request.headers().get(name);
        if let Some(target) = header("x-amz-target") {
            return Self::Glue { call: target.trim_start_matches("AWSGlue.").to_owned() };
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        // http://host/bucket/key?query
        let after_host = request.uri().splitn(4, '/').nth(3).unwrap_or_default();
        let (path, query) = after_host.split_once('?').unwrap_or((after_host, ""));
        let key = path.split_once('/').map(|(_, key)| decoded(key)).unwrap_or_default();
        match request.method() {
            "GET" if key.is_empty() => {
                let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
                Self::List { prefix: decoded(prefix) }
            }
            "GET" => Self::Get { key },
            "HEAD" => Self::Head { key },
            "PUT" if !key.is_empty() => {
                let condition = match (header("if-match"), header("if-none-match")) {
                    (Some(etag), _) => format!("if {}", etag.trim_matches('"').get(..6).unwrap_or(etag)),
                    (None, Some(_)) => "if absent".to_owned(),
                    (None, None) => "unconditionally".to_owned(),
                };
                Self::Put { key, condition }
            }
            "DELETE" if !key.is_empty() => Self::Delete { key },
            method => Self::Other { what: format!("{method} {path}") },
        }
    }

    /// The key of the object that it reads, writes or deletes.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Get { key } | Self::Head { key } | Self::Put { key, .. } | Self::Delete { key } => Some(key),
            Self::List { .. } | Self::Glue { .. } | Self::Other { .. } => None,
        }
    }

    /// The key of the object that it reads.
    pub(crate) fn read_key(&self) -> Option<&str> {
        self.key().filter(|_| matches!(self, Self::Get { .. } | Self::Head { .. }))
    }

    pub(crate) fn is_put(&self) -> bool {
        matches!(self, Self::Put { .. })
    }

    pub(crate) fn is_glue(&self) -> bool {
        matches!(self, Self::Glue { .. })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get { key } => write!(f, "GET {key}"),
            Self::Head { key } => write!(f, "HEAD {key}"),
            Self::Put { key, condition } => write!(f, "PUT {key} {condition}"),
            Self::Delete { key } => write!(f, "DELETE {key}"),
            Self::List { prefix } => write!(f, "LIST {prefix}"),
            Self::Glue { call } => write!(f, "GLUE {call}"),
            Self::Other { what } => f.write_str(what),
        }
    }
}
