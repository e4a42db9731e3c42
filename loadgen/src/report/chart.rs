//! Draws curves and bars as SVG. Colors are classes, so that the page's styles suit light and dark. Values appear under the
//! pointer by `<title>`, which needs no script.

use super::markup::escaped;
use super::scale::Scale;
use std::fmt::Write;

/// A diagram's axes.
pub(super) struct Chart {
    pub x: Scale,
    pub y: Scale,
    pub x_label: fn(f64) -> String,
    pub y_label: fn(f64) -> String,
}

/// A series of points to draw.
pub(super) struct Series {
    /// The name in the legend; empty means no legend.
    pub name: &'static str,
    /// A color class of the page: a, b or c.
    pub class: &'static str,
    pub points: Vec<(f64, f64)>,
    pub shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A line.
    Line,
    /// A line with a filled area below it.
    Area,
    /// A bar from each point to the next.
    Bars,
}

impl Chart {
    /// Draws the series, with a mark and a name at each of `notes` on the x axis.
    pub fn draw(&self, series: &[Series], notes: &[(f64, String)]) -> String {
        let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img>");
        self.grid(&mut svg);
        for one in series {
            self.shape(one, &mut svg);
        }
        for (index, (value, name)) in notes.iter().enumerate() {
            let (x, y) = (self.x_at(*value), TOP + 10.0 + 13.0 * (index % 3) as f64);
            let anchor = if x > WIDTH - 90.0 { ("end", -4.0) } else { ("start", 4.0) };
            let _ = write!(
                svg,
                "<path class=note d=\"M{x:.1} {TOP}V{BOTTOM}\"/><text class=note x={:.1} y={y} text-anchor={}>{}</text>",
                x + anchor.1,
                anchor.0,
                escaped(name)
            );
        }
        legend(series, &mut svg);
        svg + "</svg>"
    }

    fn grid(&self, svg: &mut String) {
        for mark in self.y.marks() {
            let y = self.y_at(mark);
            let label = escaped(&(self.y_label)(mark));
            let _ = write!(
                svg,
                "<path class=grid d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text x={} y={:.1} text-anchor=end>{label}</text>",
                LEFT - 8.0,
                y + 4.0
            );
        }
        for mark in self.x.marks() {
            let (x, label) = (self.x_at(mark), escaped(&(self.x_label)(mark)));
            let _ = write!(
                svg,
                "<path class=grid d=\"M{x:.1} {BOTTOM}v5\"/><text x={x:.1} y={} text-anchor=middle>{label}</text>",
                BOTTOM + 20.0
            );
        }
    }

    fn shape(&self, series: &Series, svg: &mut String) {
        if series.shape == Shape::Bars {
            return self.bars(series, svg);
        }
        let mut path = String::new();
        for (index, &(x, y)) in series.points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.x_at(x), self.y_at(y));
        }
        if let (Shape::Area, Some(first), Some(last)) =
            (series.shape, series.points.first(), series.points.last())
        {
            let (first, last) = (self.x_at(first.0), self.x_at(last.0));
            let class = series.class;
            let _ = write!(
                svg,
                "<path class=\"area {class}\" d=\"{path}L{last:.1} {BOTTOM}L{first:.1} {BOTTOM}Z\"/>"
            );
        }
        let _ = write!(svg, "<path class=\"line {}\" d=\"{path}\"/>", series.class);
        if series.points.len() <= DOTS {
            self.dots(series, svg);
        }
    }

    /// Draws points that show their values under the pointer.
    fn dots(&self, series: &Series, svg: &mut String) {
        for &(x, y) in &series.points {
            let said = escaped(&format!("{} {}: {}", series.name, (self.x_label)(x), (self.y_label)(y)));
            let (x, y) = (self.x_at(x), self.y_at(y));
            let _ = write!(svg, "<circle class=dot cx={x:.1} cy={y:.1} r=6><title>{said}</title></circle>");
        }
    }

    fn bars(&self, series: &Series, svg: &mut String) {
        for pair in series.points.windows(2) {
            let ((from, value), to) = (pair[0], pair[1].0);
            if value <= 0.0 {
                continue;
            }
            let (left, right, y) = (self.x_at(from), self.x_at(to), self.y_at(value));
            let said =
                format!("{} to {}: {}", (self.x_label)(from), (self.x_label)(to), (self.y_label)(value));
            let (width, height) = ((right - left - 1.0).max(0.8), (BOTTOM - y).max(1.0));
            let _ = write!(
                svg,
                "<rect class=\"bar {}\" x={left:.1} y={:.1} width={width:.1} height={height:.1} rx=1><title>{}</title></rect>",
                series.class,
                BOTTOM - height,
                escaped(&said)
            );
        }
    }

    fn x_at(&self, value: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * self.x.place(value)
    }

    fn y_at(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * self.y.place(value)
    }
}

fn legend(series: &[Series], svg: &mut String) {
    let named = series.iter().filter(|one| !one.name.is_empty());
    let mut right = RIGHT;
    for one in named.collect::<Vec<_>>().into_iter().rev() {
        let width = 26.0 + 6.6 * one.name.chars().count() as f64;
        let x = right - width;
        let _ = write!(
            svg,
            "<path class=\"line {}\" d=\"M{x:.1} 10h14\"/><text x={:.1} y=14>{}</text>",
            one.class,
            x + 18.0,
            escaped(one.name)
        );
        right = x - 8.0;
    }
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 702.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 236.0;
/// Most points that are far enough apart for the pointer.
const DOTS: usize = 150;
