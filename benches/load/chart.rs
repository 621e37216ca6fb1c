//! The rows as a picture: CPU time of one check, one bar each.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::cases::Case;
use crate::figures::Row;

const WIDTH: i32 = 1_100;
const BAR: i32 = 26;
/// Where bars begin, after their titles.
const LEFT: i32 = 300;
/// Room for the numbers.
const RIGHT: i32 = 190;
const TOP: i32 = 60;

/// Draws it. The scale ends at the longest bar but those that are more than ten times the median, which are cut.
pub fn draw(path: &Path, cases: &[Case], rows: &[Row], e: f64) -> Result<(), Box<dyn Error>> {
    let bars: Vec<_> = cases.iter().zip(rows).map(|(case, row)| (case.title, row.cpu().middle)).collect();
    let bars: Vec<_> = bars.into_iter().filter(|(_, cpu)| *cpu > 0.0).collect();
    let mut sorted: Vec<_> = bars.iter().map(|(_, cpu)| *cpu).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or(1.0);
    let scale = sorted.iter().copied().filter(|cpu| *cpu <= middle * 10.0).fold(1.0, f64::max);
    let height = TOP + BAR * i32::try_from(bars.len())? + 20;
    let area = SVGBackend::new(path, (WIDTH.try_into()?, height.try_into()?)).into_drawing_area();
    area.fill(&WHITE)?;
    let style = ("sans-serif", 14).into_text_style(&area).color(&BLACK);
    let title = ("sans-serif", 18).into_text_style(&area).color(&BLACK);
    area.draw(&Text::new("CPU time of one check, µs (× the bare server)", (20, 20), title))?;
    let end = |cpu: f64| LEFT + length((cpu / scale).min(1.0));
    for (number, (name, cpu)) in bars.iter().enumerate() {
        let y = TOP + BAR * i32::try_from(number)?;
        let color = if number == 0 { RGBColor(150, 150, 150) } else { RGBColor(38, 110, 170) };
        area.draw(&Rectangle::new([(LEFT, y), (end(*cpu), y + BAR - 8)], color.filled()))?;
        let right = style.pos(Pos::new(HPos::Right, VPos::Center));
        let left = style.pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(*name, (LEFT - 10, y + (BAR - 8) / 2), right))?;
        let cut = if *cpu > scale { " …" } else { "" };
        let words = format!("{cpu:.1} ({:.2}×){cut}", cpu / e);
        area.draw(&Text::new(words, (end(*cpu) + 8, y + (BAR - 8) / 2), left))?;
    }
    // The floor, through all bars.
    area.draw(&PathElement::new(vec![(end(e), TOP - 6), (end(e), height - 20)], RGBColor(200, 60, 60)))?;
    area.present()?;
    Ok(())
}

#[allow(clippy::as_conversions, clippy::cast_possible_truncation, reason = "a share of a width in pixels")]
fn length(share: f64) -> i32 {
    (share * f64::from(WIDTH - LEFT - RIGHT)).round() as i32
}
