//! Line charts over a growing load, as SVG.
//!
//! The load has a logarithmic axis, the figure a linear one from zero. A constant cost per piece is a flat line.

use std::fmt::Write;

use super::shown;

/// One chart.
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    /// The load, with its unit.
    pub(crate) x: &'static str,
    /// The figure, with its unit.
    pub(crate) y: &'static str,
    pub(crate) lines: Vec<Line>,
}

/// One line.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) look: Look,
    /// Load and figure.
    pub(crate) points: Vec<(f64, f64)>,
}

/// The look of a line: the number of its classes in the style.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Look {
    /// The subject of the chart.
    Own = 0,
    /// A bound, or a value that the subject should match.
    Floor = 1,
    /// An alternative to ltm-live.
    Peer = 2,
}

/// The size of the chart in pixels.
const SIZE: (f64, f64) = (760.0, 400.0);
/// The frame of the lines: left, right, top and bottom.
const FRAME: (f64, f64, f64, f64) = (84.0, 580.0, 70.0, 326.0);
/// The distance of the first load from the frame.
const INSET: f64 = 30.0;
/// The least distance between the names of two lines.
const ROW: f64 = 18.0;

/// Colours for a light page and for a dark one.
const STYLE: &str = "
  text { font: 14px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 }
  .paper { fill: #ffffff; stroke: #d1d9e0 }
  .grid { stroke: #d1d9e0 }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round }
  .l0 { stroke: #0969da } .n0 { fill: #0969da; font-weight: 600 }
  .l1 { stroke: #59636e; stroke-dasharray: 6 5 } .n1 { fill: #59636e }
  .l2 { stroke: #bc4c00 } .n2 { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .paper { fill: #0d1117; stroke: #3d444d }
    .grid { stroke: #3d444d }
    .l0 { stroke: #4493f8 } .n0 { fill: #4493f8 }
    .l1 { stroke: #9198a1 } .n1 { fill: #9198a1 }
    .l2 { stroke: #f0883e } .n2 { fill: #f0883e }
  }
";

impl Plot {
    /// The chart as the text of a file.
    pub(crate) fn svg(&self) -> String {
        let (width, height) = SIZE;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\">\n<title>{}</title>\n\
             <style>{STYLE}</style>\n\
             <rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
            self.title,
            width - 1.0,
            height - 1.0,
        );
        let scale = Scale::of(&self.lines);
        let (left, right, top, bottom) = FRAME;
        text(&mut svg, (24.0, 34.0), "title", "start", self.title);
        text(&mut svg, (left, top - 10.0), "", "start", self.y);
        let middle = f64::midpoint(left, right);
        text(&mut svg, (middle, bottom + 48.0), "", "middle", self.x);
        for tick in scale.ticks() {
            let y = scale.y(tick);
            // Writing to a string does not fail.
            let _ = writeln!(svg, r#"<path class="grid" d="M{left} {y:.1}H{right}"/>"#);
            text(&mut svg, (left - 10.0, y + 5.0), "", "end", &grouped(tick));
        }
        for load in &scale.loads {
            let at = (scale.x(*load), bottom + 22.0);
            text(&mut svg, at, "", "middle", &grouped(*load));
        }
        self.draw_lines(&mut svg, &scale);
        svg.push_str("</svg>\n");
        svg
    }

    fn draw_lines(&self, svg: &mut String, scale: &Scale) {
        for line in self.lines.iter().rev() {
            let look = line.look as u8;
            let place = |&(load, figure): &(f64, f64)| (scale.x(load), scale.y(figure));
            let places: Vec<_> = line.points.iter().map(place).collect();
            let path: Vec<_> = places
                .iter()
                .map(|(x, y)| format!("{x:.1} {y:.1}"))
                .collect();
            let path = path.join("L");
            let _ = writeln!(svg, r#"<path class="line l{look}" d="M{path}"/>"#);
            for (x, y) in places {
                let _ = writeln!(
                    svg,
                    r#"<circle class="n{look}" cx="{x:.1}" cy="{y:.1}" r="4"/>"#
                );
            }
        }
        for (number, y) in self.names(scale) {
            let line = &self.lines[number];
            let last = line.points.last().map_or(0.0, |(_, figure)| *figure);
            let name = format!("{} {}", line.name, grouped(last));
            let class = format!("n{}", line.look as u8);
            text(svg, (FRAME.1 + 12.0, y + 5.0), &class, "start", &name);
        }
    }

    /// The position of each line's name: at the end of the line, but never over another name.
    fn names(&self, scale: &Scale) -> Vec<(usize, f64)> {
        let ends = self.lines.iter().enumerate();
        let ends = ends.filter_map(|(number, line)| Some((number, scale.y(line.points.last()?.1))));
        let mut names: Vec<_> = ends.collect();
        names.sort_by(|one, other| one.1.total_cmp(&other.1));
        // From the lowest up, so that no name is pushed below the frame.
        let mut below = FRAME.3 + ROW;
        for (_, y) in names.iter_mut().rev() {
            *y = y.min(below - ROW);
            below = *y;
        }
        names
    }
}

/// The positions of loads and figures.
struct Scale {
    /// All loads, the smallest first.
    loads: Vec<f64>,
    /// The distance between two ticks.
    step: f64,
    steps: u32,
}

impl Scale {
    fn of(lines: &[Line]) -> Self {
        let points = || lines.iter().flat_map(|line| &line.points);
        let mut loads: Vec<f64> = points().map(|(load, _)| *load).collect();
        loads.sort_by(f64::total_cmp);
        loads.dedup();
        let most = points().map(|(_, figure)| *figure).fold(0.0, f64::max);
        let most = if most > 0.0 { most } else { 1.0 };
        // The smallest of 1, 2, 5, 10, 20… that needs no more than five steps.
        let power = 10_f64.powf((most / 5.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let step = steps.into_iter().find(|step| step * 5.0 >= most);
        let step = step.unwrap_or(power * 10.0);
        Self {
            loads,
            step,
            steps: (most / step).ceil() as u32,
        }
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (0..=self.steps).map(|tick| f64::from(tick) * self.step)
    }

    fn x(&self, load: f64) -> f64 {
        let (first, last) = (self.loads.first(), self.loads.last());
        let (first, last) = (first.copied().unwrap_or(1.0), last.copied().unwrap_or(1.0));
        let (left, right) = (FRAME.0 + INSET, FRAME.1);
        if first >= last {
            return f64::midpoint(left, right);
        }
        left + (right - left) * (load / first).ln() / (last / first).ln()
    }

    fn y(&self, figure: f64) -> f64 {
        let (_, _, top, bottom) = FRAME;
        let most = f64::from(self.steps) * self.step;
        bottom - (bottom - top) * figure / most
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), class: &str, anchor: &str, text: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(
        svg,
        r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
    );
}

/// A number with separators: 10,000.
fn grouped(value: f64) -> String {
    if value < 1000.0 {
        let text = shown(value);
        let point = text.contains('.');
        let short = text.trim_end_matches('0').trim_end_matches('.');
        return if point { short.to_owned() } else { text };
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_grouped() {
        let shown = [0.0, 0.5, 2.0, 12.0, 999.0, 1000.0, 20_000.0, 1_234_567.0].map(grouped);
        assert_eq!(
            shown,
            ["0", "0.5", "2", "12", "999", "1,000", "20,000", "1,234,567"]
        );
    }

    #[test]
    fn a_scale_begins_at_zero_and_ends_above_the_largest() {
        for most in [0.03, 1.0, 7.2, 10.0, 375_000.0] {
            let points = vec![(1.0, most / 2.0), (16.0, most)];
            let line = Line {
                name: "one",
                look: Look::Own,
                points,
            };
            let scale = Scale::of(&[line]);
            let ticks: Vec<f64> = scale.ticks().collect();
            assert!(ticks[0] == 0.0 && ticks.len() <= 6, "{ticks:?}");
            assert!(scale.y(most) >= FRAME.2 - 0.1, "{ticks:?}");
        }
    }

    #[test]
    fn names_do_not_lie_on_each_other() {
        let line = |name| Line {
            name,
            look: Look::Floor,
            points: vec![(1.0, 0.0), (16.0, 0.1)],
        };
        let plot = Plot {
            title: "",
            x: "",
            y: "",
            lines: vec![line("one"), line("two"), line("three")],
        };
        let names = plot.names(&Scale::of(&plot.lines));
        for pair in names.windows(2) {
            assert!(pair[1].1 - pair[0].1 >= ROW, "{names:?}");
        }
    }
}
