//! Plots as SVG, written by hand: axes, lines, bars. No text is measured, so texts have room.

use std::fmt::Write as _;

use crate::harness::number::{count, float};

/// A plot with lines.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) title: String,
    /// How it is read, in a sentence.
    pub(super) caption: &'static str,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
}

#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) label: &'static str,
    pub(super) is_log: bool,
    pub(super) range: (f64, f64),
    pub(super) ticks: Vec<(f64, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) has_dots: bool,
    /// Points in a ring, of which the name tells.
    pub(super) marks: Vec<(f64, f64)>,
}

/// Bars made of parts, one below the other.
#[derive(Clone, Debug)]
pub(super) struct Bars {
    pub(super) title: String,
    pub(super) caption: &'static str,
    pub(super) parts: Vec<String>,
    /// Name, length of each part, and what is written at the end.
    pub(super) bars: Vec<(String, Vec<f64>, String)>,
}

impl Axis {
    /// From `least` to `most`, with a tick at each power of ten, and at 2 and 5 times it if
    /// there are few.
    pub(super) fn log(
        label: &'static str,
        (least, most): (f64, f64),
        text: impl Fn(f64) -> String,
    ) -> Self {
        let (low, high) = (least.max(1e-9), most.max(least * 1.01).max(1e-9));
        let (first, last) =
            (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0));
        let steps: &[f64] = if last - first <= 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut ticks = Vec::new();
        let mut power = first;
        while power <= last {
            for step in steps {
                let value = step * 10_f64.powf(power);
                if value <= 10_f64.powf(last) * 1.000_001 {
                    ticks.push((value, text(value)));
                }
            }
            power += 1.0;
        }
        let below = ticks.iter().rev().find(|tick| tick.0 <= low * 1.000_001);
        let above = ticks.iter().find(|tick| tick.0 >= high * 0.999_999);
        let range = (below.map_or(low, |tick| tick.0), above.map_or(high, |tick| tick.0));
        ticks.retain(|tick| tick.0 >= range.0 && tick.0 <= range.1);
        Self { label, is_log: true, range, ticks }
    }

    /// From zero to `most`, with about five ticks.
    pub(super) fn linear(label: &'static str, most: f64, text: impl Fn(f64) -> String) -> Self {
        let most = most.max(1e-9);
        let power = 10_f64.powf((most / 5.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|step| step * power)
            .find(|step| most / step <= 5.0)
            .unwrap_or(most);
        let mut ticks = Vec::new();
        let mut number = 0.0;
        while (number - 1.0) * step < most {
            ticks.push((number * step, text(number * step)));
            number += 1.0;
        }
        let end = ticks.last().map_or(most, |tick| tick.0);
        Self { label, is_log: false, range: (0.0, end), ticks }
    }

    /// Where a value lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        let place = if self.is_log {
            (value.max(low).ln() - low.ln()) / (high.ln() - low.ln())
        } else {
            (value - low) / (high - low)
        };
        place.clamp(0.0, 1.0)
    }
}

impl Plot {
    /// As a figure of HTML.
    pub(super) fn figure(&self) -> String {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escape(&self.title)
        );
        self.axes(&mut svg);
        for (number, line) in self.lines.iter().enumerate() {
            self.line(&mut svg, number, line);
        }
        for (number, line) in self.lines.iter().enumerate() {
            self.marks(&mut svg, number, line);
        }
        svg.push_str("</svg>\n");
        let names: Vec<_> = self.lines.iter().map(|line| line.name.as_str()).collect();
        figure((&self.title, self.caption), &svg, &legend(&names, "line"))
    }

    fn axes(&self, svg: &mut String) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for (value, text) in &self.y.ticks {
            let y = self.down(*value);
            put(svg, &format!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>"));
            let (x, y) = (LEFT - 8.0, y + 4.0);
            put(
                svg,
                &format!("<text x=\"{x}\" y=\"{y:.1}\" class=\"end\">{}</text>", escape(text)),
            );
        }
        for (value, text) in &self.x.ticks {
            let x = self.across(*value);
            put(svg, &format!("<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>"));
            let y = bottom + 18.0;
            put(
                svg,
                &format!("<text x=\"{x:.1}\" y=\"{y}\" class=\"mid\">{}</text>", escape(text)),
            );
        }
        let (middle, below) = (f64::midpoint(LEFT, right), HEIGHT - 8.0);
        put(svg, &format!("<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>"));
        put(
            svg,
            &format!(
                "<text x=\"{middle}\" y=\"{below}\" class=\"mid\">{}</text>",
                escape(self.x.label)
            ),
        );
        put(svg, &format!("<text x=\"8\" y=\"16\">{}</text>", escape(self.y.label)));
    }

    fn line(&self, svg: &mut String, number: usize, line: &Line) {
        let mut path = String::new();
        for (place, (x, y)) in line.points.iter().enumerate() {
            let letter = if place == 0 { 'M' } else { 'L' };
            // Writing to a string does not fail.
            let _written = write!(path, "{letter}{:.1} {:.1}", self.across(*x), self.down(*y));
        }
        let class = number % COLOURS;
        put(svg, &format!("<path class=\"line s{class}\" d=\"{path}\"/>"));
        for (x, y) in line.points.iter().filter(|_| line.has_dots) {
            let (x, y) = (self.across(*x), self.down(*y));
            put(
                svg,
                &format!("<circle class=\"dot s{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"),
            );
        }
    }

    fn marks(&self, svg: &mut String, number: usize, line: &Line) {
        for (x, y) in &line.marks {
            let (x, y, class) = (self.across(*x), self.down(*y), number % COLOURS);
            put(
                svg,
                &format!("<circle class=\"ring s{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"8\"/>"),
            );
        }
    }

    fn across(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn down(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - BOTTOM - TOP)
    }
}

impl Bars {
    /// As a figure of HTML.
    pub(super) fn figure(&self) -> String {
        let most = self.bars.iter().map(|bar| bar.1.iter().sum()).fold(1e-9, f64::max);
        let height = float(count(self.bars.len())) * BAR + 8.0;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n",
            escape(&self.title)
        );
        for (number, (name, parts, end)) in self.bars.iter().enumerate() {
            let top = float(count(number)) * BAR + 4.0;
            put(&mut svg, &format!("<text x=\"0\" y=\"{}\">{}</text>", top + 12.0, escape(name)));
            let mut x = 0.0;
            for (place, part) in parts.iter().enumerate() {
                let width = part / most * (WIDTH - BAR_RIGHT);
                let class = place % COLOURS;
                put(
                    &mut svg,
                    &format!(
                        "<rect class=\"fill s{class}\" x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"18\"/>",
                        top + 18.0
                    ),
                );
                x += width;
            }
            let (x, y) = (x + 6.0, top + 32.0);
            put(&mut svg, &format!("<text x=\"{x:.1}\" y=\"{y}\">{}</text>", escape(end)));
        }
        svg.push_str("</svg>\n");
        let names: Vec<_> = self.parts.iter().map(String::as_str).collect();
        let legend = if names.len() > 1 { legend(&names, "fill") } else { String::new() };
        figure((&self.title, self.caption), &svg, &legend)
    }
}

fn figure((title, caption): (&str, &str), svg: &str, legend: &str) -> String {
    format!(
        "<figure>\n<h3>{}</h3>\n{svg}{legend}<figcaption>{}</figcaption>\n</figure>\n",
        escape(title),
        escape(caption)
    )
}

/// Names below a plot, which wrap where they have no room.
fn legend(names: &[&str], kind: &str) -> String {
    let mut html = String::from("<ul class=\"legend\">\n");
    for (number, name) in names.iter().enumerate() {
        let class = number % COLOURS;
        let shape = match kind {
            "line" => format!("<path class=\"line s{class}\" d=\"M1 6H27\"/>"),
            _ => format!(
                "<rect class=\"fill s{class}\" x=\"8\" y=\"0\" width=\"12\" height=\"12\"/>"
            ),
        };
        let svg = format!("<svg width=\"28\" height=\"12\" aria-hidden=\"true\">{shape}</svg>");
        put(&mut html, &format!("<li>{svg}{}</li>", escape(name)));
    }
    html.push_str("</ul>\n");
    html
}

/// Text as HTML shows it.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn put(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The colours of lines and parts, of which the style sheet has as many.
pub(super) const COLOURS: usize = 8;
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 52.0;
const BAR: f64 = 46.0;
/// Room for what stands at the end of the longest bar.
const BAR_RIGHT: f64 = 150.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_ticks_that_hold_all_values() {
        for (least, most) in [(1.0, 9.0), (35_000.0, 2e9), (5.0, 5.0), (1e3, 1e3 + 1.0)] {
            let axis = Axis::log("time", (least, most), |value| format!("{value}"));
            let ends = (axis.ticks[0].0, axis.ticks[axis.ticks.len() - 1].0);
            assert!(ends.0 <= least && ends.1 >= most * 0.999_999, "{least} {most}: {axis:?}");
            assert!((2..=9).contains(&axis.ticks.len()), "{axis:?}");
        }
        for most in [0.0, 1.0, 7.0, 23_456.0] {
            let axis = Axis::linear("rate", most, |value| format!("{value}"));
            assert!(axis.range.1 >= most && (2..=7).contains(&axis.ticks.len()), "{axis:?}");
        }
    }

    #[test]
    fn texts_of_others_are_no_markup() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
