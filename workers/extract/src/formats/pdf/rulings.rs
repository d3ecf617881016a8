//! Lines along and across the page, as the borders of table cells are drawn: strokes, thin areas, the edges of filled areas.

use hayro_interpret::kurbo::{Affine, BezPath, PathSeg, Point};

use super::geometry::Frame;

/// Most rulings of a page. Above it the page is a drawing, and none of them borders a cell.
const MAX_RULINGS: usize = 20_000;

/// Most segments of one path that are looked at: borders of many cells may be one path, curves of maps are longer.
const MAX_SEGMENTS: usize = 4_000;

/// How far a ruling may be off its direction, in points.
const STRAIGHT: f64 = 0.6;

/// Rulings closer to each other than this are one, and gaps in a ruling shorter than this are none.
pub(super) const SNAP: f32 = 3.0;

/// A line from `from` to `to`, `at` some distance from the top (when it runs across) or from the left (when it runs down).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ruling {
    pub(super) at: f32,
    pub(super) from: f32,
    pub(super) to: f32,
}

impl Ruling {
    /// Whether it runs past `place`.
    pub(super) fn covers(&self, place: f32) -> bool {
        (self.from - SNAP..=self.to + SNAP).contains(&place)
    }
}

/// The rulings of a page or of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rulings {
    /// Those that run across.
    pub(super) across: Vec<Ruling>,
    /// Those that run down.
    pub(super) down: Vec<Ruling>,
}

impl Rulings {
    /// Adds the straight edges of a path.
    pub(super) fn add(&mut self, path: &BezPath, transform: Affine) {
        if self.len() > MAX_RULINGS {
            return;
        }
        for segment in path.segments().take(MAX_SEGMENTS) {
            if let PathSeg::Line(line) = segment {
                self.add_line(transform * line.p0, transform * line.p1);
            }
        }
    }

    fn add_line(&mut self, a: Point, b: Point) {
        let (dx, dy) = ((a.x - b.x).abs(), (a.y - b.y).abs());
        let ruling = |at: f64, from: f64, to: f64| Ruling {
            at: at as f32,
            from: from.min(to) as f32,
            to: from.max(to) as f32,
        };
        if !(dx.is_finite() && dy.is_finite()) {
            return;
        }
        if dy <= STRAIGHT && dx > dy {
            self.across.push(ruling(a.y.midpoint(b.y), a.x, b.x));
        } else if dx <= STRAIGHT && dy > dx {
            self.down.push(ruling(a.x.midpoint(b.x), a.y, b.y));
        }
    }

    fn len(&self) -> usize {
        self.across.len() + self.down.len()
    }

    /// The same in another frame of reference, put together to as few as there are to the eye. None when the page is a drawing, or
    /// when the frame is not along the page.
    pub(super) fn in_frame(&self, frame: Frame) -> Self {
        if self.len() > MAX_RULINGS {
            return Self::default();
        }
        let mut turned = Self::default();
        for ruling in &self.across {
            turned.add_turned(frame, (ruling.from, ruling.at), (ruling.to, ruling.at));
        }
        for ruling in &self.down {
            turned.add_turned(frame, (ruling.at, ruling.from), (ruling.at, ruling.to));
        }
        Self {
            across: merged(turned.across),
            down: merged(turned.down),
        }
    }

    fn add_turned(&mut self, frame: Frame, a: (f32, f32), b: (f32, f32)) {
        let point = |(x, y)| {
            let (u, v) = frame.point_in(x, y);
            Point::new(f64::from(u), f64::from(v))
        };
        self.add_line(point(a), point(b));
    }
}

/// Puts together what is one line: drawn in pieces, drawn twice, or as a thin area with two edges.
fn merged(mut rulings: Vec<Ruling>) -> Vec<Ruling> {
    rulings.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut merged = Vec::new();
    let mut rest = rulings.as_mut_slice();
    while let Some(first) = rest.first().map(|first| first.at) {
        let count = rest
            .iter()
            .take_while(|ruling| ruling.at - first <= SNAP)
            .count();
        let (same, others) = rest.split_at_mut(count);
        rest = others;
        let at = same.iter().map(|ruling| ruling.at).sum::<f32>() / count as f32;
        same.sort_by(|a, b| a.from.total_cmp(&b.from));
        let mut joined: Vec<Ruling> = Vec::new();
        for ruling in &*same {
            match joined.last_mut() {
                Some(last) if ruling.from <= last.to + SNAP => last.to = last.to.max(ruling.to),
                _ => joined.push(Ruling { at, ..*ruling }),
            }
        }
        // The ends of thin areas are as long as the area is thin.
        merged.extend(
            joined
                .into_iter()
                .filter(|ruling| ruling.to - ruling.from > SNAP),
        );
    }
    merged
}

#[cfg(test)]
mod tests {
    use hayro_interpret::kurbo::{Rect, Shape};

    use super::super::geometry::Angle;
    use super::*;

    fn of(rects: &[(f64, f64, f64, f64)]) -> Rulings {
        let mut rulings = Rulings::default();
        for &(x0, y0, x1, y1) in rects {
            rulings.add(&Rect::new(x0, y0, x1, y1).to_path(0.1), Affine::IDENTITY);
        }
        rulings.in_frame(Frame::of(Angle::UPRIGHT))
    }

    #[test]
    fn a_thin_area_is_one_line() {
        let rulings = of(&[(50.0, 100.0, 250.0, 100.8)]);
        assert_eq!(rulings.down, []);
        let [line] = rulings.across[..] else {
            panic!("{rulings:?}")
        };
        assert!((line.at - 100.4).abs() < 0.1 && line.from < 50.1 && line.to > 249.9);
    }

    #[test]
    fn pieces_of_a_line_are_put_together_and_separate_lines_are_not() {
        let rulings = of(&[
            (50.0, 100.0, 150.0, 100.5),
            (151.0, 100.2, 250.0, 100.6),
            (300.0, 100.0, 400.0, 100.5),
        ]);
        assert_eq!(rulings.across.len(), 2);
    }

    #[test]
    fn the_edges_of_an_area_are_lines() {
        let rulings = of(&[(50.0, 100.0, 250.0, 130.0)]);
        assert_eq!((rulings.across.len(), rulings.down.len()), (2, 2));
    }

    #[test]
    fn in_a_turned_frame_lines_are_turned() {
        let mut rulings = Rulings::default();
        rulings.add(
            &Rect::new(50.0, 100.0, 250.0, 100.5).to_path(0.1),
            Affine::IDENTITY,
        );
        let turned = rulings.in_frame(Frame::of(Angle::of(0.0, 1.0)));
        assert_eq!((turned.across.len(), turned.down.len()), (0, 1));
    }
}
