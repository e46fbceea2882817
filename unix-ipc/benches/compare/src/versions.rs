//! The versions that were compiled: from Cargo.lock, which nobody edits.

const LOCK: &str = include_str!("../Cargo.lock");

/// The version of a package that comes from the registry.
pub(crate) fn registry(package: &str) -> Option<&'static str> {
    find(package, true)
}

/// The version of a package that stands beside this one.
pub(crate) fn path(package: &str) -> Option<&'static str> {
    find(package, false)
}

fn find(package: &str, registry: bool) -> Option<&'static str> {
    let entry = LOCK.split("[[package]]").find(|entry| {
        field(entry, "name") == Some(package) && field(entry, "source").is_some() == registry
    })?;
    field(entry, "version")
}

fn field<'a>(entry: &'a str, key: &str) -> Option<&'a str> {
    let value = entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
    value.strip_suffix('"')
}
