//! Listings in the byte order of the keys. They read only the directories that a page needs.

use super::attributes::{self, Description};
use super::key_file;
use super::names::{self, BESIDE, CONTINUES};
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What to list.
#[derive(Debug, Default)]
pub(crate) struct Query<'a> {
    pub(crate) prefix: &'a str,
    /// Keys that contain it after the prefix are grouped into common prefixes.
    pub(crate) delimiter: Option<&'a str>,
    /// Only keys greater than this, by bytes.
    pub(crate) after: &'a str,
    /// The common prefix that the page before ended with: keys below it are skipped.
    pub(crate) rolled_up: Option<&'a str>,
    pub(crate) entries_max: usize,
}

/// An entry of a listing.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most are objects, and a page has a thousand at most")]
pub(crate) enum Entry {
    Object(String, Description),
    CommonPrefix(String),
}

/// Returns the entries of a query, and whether there are more.
pub(crate) fn list(bucket: &Path, query: &Query<'_>) -> io::Result<(Vec<Entry>, bool)> {
    let mut entries: Vec<Entry> = Vec::new();
    if query.entries_max == 0 {
        return Ok((entries, false));
    }
    let mut walk = Walk::start(bucket, query)?;
    while let Some((key, path)) = walk.next(query)? {
        let rolled = query.delimiter.and_then(|delimiter| {
            let end = key.get(query.prefix.len()..)?.find(delimiter)? + query.prefix.len() + delimiter.len();
            key.get(..end)
        });
        if entries.len() == query.entries_max {
            return Ok((entries, true));
        }
        if let Some(common) = rolled {
            walk.skipped = Some(common.to_owned());
            entries.push(Entry::CommonPrefix(common.to_owned()));
        } else {
            match attributes::describe_path(&path) {
                Ok(description) => entries.push(Entry::Object(key, description)),
                // A writer has deleted it since the directory was read, or moved it to its second name.
                Err(error) if key_file::is_absence(&error) => {
                    if let Ok(description) = attributes::describe_path(&names::beside(&path)) {
                        entries.push(Entry::Object(key, description));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok((entries, false))
}

/// A file with its key, or a directory with the prefix of its keys. That prefix ends in a slash, so that the byte order
/// of nodes is the order of the keys: `a-b` comes before `a/b`.
struct Node {
    key: String,
    path: PathBuf,
    directory: bool,
}

/// A walk in key order. It holds the unvisited nodes of the directories on the current path, the next one first.
struct Walk {
    pending: VecDeque<Node>,
    /// Keys with this prefix are skipped.
    skipped: Option<String>,
}

impl Walk {
    /// Starts at the deepest directory that contains all keys of the query.
    fn start(bucket: &Path, query: &Query<'_>) -> io::Result<Self> {
        let above = query.prefix.rfind('/').map_or("", |slash| &query.prefix[..=slash]);
        let mut path = bucket.to_owned();
        for component in above.split_terminator('/') {
            path.extend(names::escape(component));
        }
        let root = Node { key: above.to_owned(), path, directory: true };
        Ok(Self { pending: children(&root)?.into(), skipped: query.rolled_up.map(str::to_owned) })
    }

    /// Returns the key and path of the next object.
    fn next(&mut self, query: &Query<'_>) -> io::Result<Option<(String, PathBuf)>> {
        while let Some(node) = self.pending.pop_front() {
            if self.is_excluded(&node, query) {
                continue;
            }
            if !node.directory {
                return Ok(Some((node.key, node.path)));
            }
            for child in children(&node)?.into_iter().rev() {
                self.pending.push_front(child);
            }
        }
        Ok(None)
    }

    /// Whether no key at or below the node matches the query.
    fn is_excluded(&self, node: &Node, query: &Query<'_>) -> bool {
        let matches = node.key.starts_with(query.prefix) || (node.directory && query.prefix.starts_with(&node.key));
        let rolled_up = self.skipped.as_deref().is_some_and(|skipped| node.key.starts_with(skipped));
        // All keys below a directory start with its prefix, so that decides whether any comes after `after`.
        let before = match node.directory {
            true => node.key.as_str() < query.after && !query.after.starts_with(&node.key),
            false => node.key.as_str() <= query.after,
        };
        !matches || rolled_up || before
    }
}

/// The nodes of one directory in key order. The pieces of an over-long component are joined here, so that its keys are
/// in order, too.
fn children(parent: &Node) -> io::Result<Vec<Node>> {
    let mut nodes = Vec::new();
    collect(&parent.path, &parent.key, "", &mut Vec::new(), &mut nodes)?;
    nodes.sort_by(|a: &Node, b: &Node| a.key.cmp(&b.key));
    // While a new version replaces a file at its second name, both names may exist.
    nodes.dedup_by(|a, b| a.key == b.key);
    Ok(nodes)
}

fn collect(
    directory: &Path,
    above: &str,
    joined: &str,
    pieces: &mut Vec<String>,
    nodes: &mut Vec<Node>,
) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if key_file::is_absence(&error) => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if let Some(piece) = name.strip_suffix(CONTINUES).filter(|_| kind.is_dir()) {
            let Some(text) = names::unescape(piece) else { continue };
            pieces.push(name);
            collect(&path, above, &format!("{joined}{text}"), pieces, nodes)?;
            pieces.pop();
            continue;
        }
        let plain = name.strip_suffix(BESIDE).filter(|_| kind.is_file()).unwrap_or(&name);
        let Some(text) = names::unescape(plain) else { continue };
        let component = format!("{joined}{text}");
        // A user's file whose name unescapes by chance is not an object: a get of that key reads another path.
        let ordinary = pieces.is_empty() && !plain.contains('%') && plain.len() < 254;
        let written = pieces.iter().map(String::as_str).chain([plain]);
        if !ordinary && !names::escape(&component).iter().map(String::as_str).eq(written) {
            continue;
        }
        if kind.is_dir() {
            nodes.push(Node { key: format!("{above}{component}/"), path, directory: true });
        } else if kind.is_file() {
            nodes.push(Node { key: format!("{above}{component}"), path, directory: false });
        }
    }
    Ok(())
}
