//! The chart of a run: a panel a measure, a bar a library, on a logarithmic scale.

use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::SegmentValue;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Outcome;
use crate::results::{self, Row, Unit};

/// Two panels beside each other, two rows of them.
const SIZE: (u32, u32) = (1040, 620);

const INK: RGBColor = RGBColor(36, 41, 47);
const FAINT: RGBColor = RGBColor(216, 222, 228);
const OURS: RGBColor = RGBColor(9, 105, 218);
const FLOOR: RGBColor = RGBColor(140, 149, 159);
const OTHERS: RGBColor = RGBColor(150, 190, 235);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(crate) fn draw(rows: &[Row], file: &Path) -> Outcome {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    // Opaque, so that it can be read on a dark page, too.
    area.fill(&WHITE)?;
    for (panel, rows) in area.split_evenly((2, 2)).iter().zip(results::by_measure(rows)) {
        draw_panel(panel, rows)?;
    }
    Ok(area.present()?)
}

fn draw_panel(area: &Area<'_>, rows: &[Row]) -> Outcome {
    let (Some(first), Some(range)) = (rows.first(), range(rows)) else { return Ok(()) };
    let unit = first.unit;
    let label = |place: &SegmentValue<usize>| match place {
        // The first library stands on top.
        SegmentValue::CenterOf(place) => {
            rows.get(rows.len().wrapping_sub(place + 1)).map(Row::label).unwrap_or_default()
        }
        _ => String::new(),
    };
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{} ({})", first.measure, unit.better()), ("sans-serif", 17).into_font().color(&INK))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(170)
        .build_cartesian_2d(range.clone().log_scale(), (0..rows.len() - 1).into_segmented())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT)
        .axis_style(FAINT)
        .y_labels(rows.len())
        .y_label_formatter(&label)
        .x_labels(6)
        .x_label_formatter(&|value| mark(unit, *value))
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .draw()?;
    chart.draw_series(rows.iter().rev().enumerate().filter_map(|(place, row)| {
        let ends = [(range.start, SegmentValue::Exact(place)), (row.median?, SegmentValue::Exact(place + 1))];
        let mut bar = Rectangle::new(ends, colour(row).filled());
        bar.set_margin(4, 4, 0, 0);
        Some(bar)
    }))?;
    let style = ("sans-serif", 13).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    chart.draw_series(rows.iter().rev().enumerate().map(|(place, row)| {
        let at = (row.median.unwrap_or(range.start), SegmentValue::CenterOf(place));
        EmptyElement::at(at) + Text::new(row.shown(), (6, 0), style.clone())
    }))?;
    Ok(())
}

/// From a power of ten below the shortest bar to some room for a number behind the longest.
fn range(rows: &[Row]) -> Option<std::ops::Range<f64>> {
    let values = || rows.iter().filter_map(|row| row.median);
    let (least, most) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    // A hair below, or rounding may lose the mark of the power itself.
    let start = 10_f64.powf((least / 1.5).log10().floor()) * 0.99;
    Some(start..most * (most / start).powf(0.28))
}

fn colour(row: &Row) -> RGBColor {
    match row.library.as_str() {
        "unix-ipc" => OURS,
        _ if row.version.is_empty() => FLOOR,
        _ => OTHERS,
    }
}

/// A power of ten beside the axis.
fn mark(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds if value < 0.99e-6 => format!("{:.0} ns", value * 1e9),
        Unit::Seconds if value < 0.99e-3 => format!("{:.0} µs", value * 1e6),
        Unit::Seconds => format!("{:.0} ms", value * 1e3),
        Unit::PerSecond if value < 0.99e6 => format!("{:.0} k/s", value / 1e3),
        Unit::PerSecond => format!("{:.0} M/s", value / 1e6),
    }
}
