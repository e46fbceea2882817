//! The rows of a run: as a table, and as a CSV file.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Outcome;

/// One measure of one library over all rounds. Without numbers where the library does not offer it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) measure: String,
    pub(crate) unit: Unit,
    pub(crate) library: String,
    pub(crate) version: String,
    pub(crate) median: Option<f64>,
    pub(crate) least: Option<f64>,
    pub(crate) most: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    Seconds,
    PerSecond,
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Seconds if value < 9.995e-7 => format!("{:.0} ns", value * 1e9),
            Self::Seconds if value < 9.995e-4 => format!("{} µs", three_digits(value * 1e6)),
            Self::Seconds => format!("{} ms", three_digits(value * 1e3)),
            Self::PerSecond if value < 999_500.0 => format!("{} k/s", three_digits(value / 1e3)),
            Self::PerSecond => format!("{} M/s", three_digits(value / 1e6)),
        }
    }

    pub(crate) fn better(self) -> &'static str {
        match self {
            Self::Seconds => "shorter is better",
            Self::PerSecond => "longer is better",
        }
    }
}

/// More digits than three are noise.
fn three_digits(value: f64) -> String {
    match value {
        _ if value < 9.995 => format!("{value:.2}"),
        _ if value < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

impl Row {
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.library, self.version).trim_end().to_owned()
    }

    pub(crate) fn shown(&self) -> String {
        self.median.map_or_else(|| "–".to_owned(), |median| self.unit.show(median))
    }
}

/// The rows of each measure, in the order in which they were measured.
pub(crate) fn by_measure(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    rows.chunk_by(|one, other| one.measure == other.measure)
}

/// The medians, in Markdown: a library a line, a measure a column.
pub(crate) fn table(rows: &[Row]) -> String {
    let measures: Vec<_> = by_measure(rows).collect();
    let mut table = String::new();
    let mut line = |name: &str, cells: Vec<String>| {
        let _ = writeln!(table, "| {name:<26} | {} |", cells.join(" | "));
    };
    line("", measures.iter().map(|rows| format!("{:>21}", rows[0].measure)).collect());
    line(&"-".repeat(26), measures.iter().map(|_| format!("{}:", "-".repeat(20))).collect());
    for (index, row) in measures.first().copied().unwrap_or_default().iter().enumerate() {
        line(&row.label(), measures.iter().map(|rows| format!("{:>21}", rows[index].shown())).collect());
    }
    table
}

pub(crate) fn write(file: &Path, rows: &[Row]) -> Outcome {
    let mut writer = csv::Writer::from_path(file)?;
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(writer.flush()?)
}

pub(crate) fn read(file: &Path) -> Outcome<Vec<Row>> {
    Ok(csv::Reader::from_path(file)?.deserialize().collect::<Result<_, _>>()?)
}
