//! Rectangles and the frame of reference of a line of text.
//!
//! Text runs in any direction on a page. Everything that finds words, lines and columns works in a frame in which the text runs
//! from left to right and lines follow each other downwards; a [`Frame`] is the rotation between that and the page.

/// A rectangle with the origin at the top left, in points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) x0: f32,
    pub(super) y0: f32,
    pub(super) x1: f32,
    pub(super) y1: f32,
}

impl Rect {
    /// The smallest rectangle around both.
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }

    /// The part inside a page of `width` by `height`.
    pub(super) fn clamp_to(self, width: f32, height: f32) -> Self {
        Self {
            x0: self.x0.clamp(0.0, width),
            y0: self.y0.clamp(0.0, height),
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
        }
    }

    fn around(points: [(f32, f32); 4]) -> Self {
        let start = Self {
            x0: points[0].0,
            y0: points[0].1,
            x1: points[0].0,
            y1: points[0].1,
        };
        points.iter().fold(start, |rect, &(x, y)| {
            rect.union(Self {
                x0: x,
                y0: y,
                x1: x,
                y1: y,
            })
        })
    }
}

/// Direction of text: degrees that its baseline is turned clockwise (as seen on the page), in steps of [`Angle::STEP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Angle(i16);

impl Angle {
    /// Upright text.
    #[cfg(test)]
    pub(super) const UPRIGHT: Self = Self(0);

    /// Directions closer than this are the same direction: scans are skewed by a degree or two.
    const STEP: f32 = 5.0;

    /// The direction of the vector `dx`, `dy`, with y pointing down.
    pub(super) fn of(dx: f32, dy: f32) -> Self {
        let degrees = dy.atan2(dx).to_degrees();
        let steps = (degrees / Self::STEP).round() as i16;
        let whole = (360.0 / Self::STEP) as i16;
        Self(steps.rem_euclid(whole) * Self::STEP as i16)
    }

    fn radians(self) -> f32 {
        f32::from(self.0).to_radians()
    }
}

/// A rotated frame of reference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    cos: f32,
    sin: f32,
}

impl Frame {
    /// The frame in which text of direction `angle` is upright.
    pub(super) fn of(angle: Angle) -> Self {
        Self {
            cos: angle.radians().cos(),
            sin: angle.radians().sin(),
        }
    }

    /// A point of the page in this frame.
    pub(super) fn point_in(self, x: f32, y: f32) -> (f32, f32) {
        (x * self.cos + y * self.sin, y * self.cos - x * self.sin)
    }

    /// The rectangle of the page around `rect`, which is in this frame.
    pub(super) fn rect_out(self, rect: Rect) -> Rect {
        let out = |u: f32, v: f32| (u * self.cos - v * self.sin, u * self.sin + v * self.cos);
        Rect::around([
            out(rect.x0, rect.y0),
            out(rect.x1, rect.y0),
            out(rect.x0, rect.y1),
            out(rect.x1, rect.y1),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slightly_skewed_line_is_upright() {
        assert_eq!(Angle::of(100.0, 3.0), Angle::UPRIGHT);
        assert_eq!(Angle::of(100.0, -3.0), Angle::UPRIGHT);
        assert_ne!(Angle::of(0.0, 1.0), Angle::of(0.0, -1.0));
    }

    #[test]
    fn text_running_down_is_upright_in_its_frame() {
        let frame = Frame::of(Angle::of(0.0, 1.0));
        let (u, v) = frame.point_in(200.0, 50.0);
        let (next_u, next_v) = frame.point_in(200.0, 60.0);
        assert!(next_u - u > 9.9 && (next_v - v).abs() < 0.01);
        // Text that runs down has its next line to the left.
        assert!(frame.point_in(188.0, 50.0).1 > v);
    }

    #[test]
    fn a_rectangle_survives_the_way_into_a_frame_and_back() {
        let frame = Frame::of(Angle::of(0.0, -1.0));
        let (u0, v0) = frame.point_in(10.0, 20.0);
        let (u1, v1) = frame.point_in(30.0, 60.0);
        let inside = Rect {
            x0: u0.min(u1),
            y0: v0.min(v1),
            x1: u0.max(u1),
            y1: v0.max(v1),
        };
        let back = frame.rect_out(inside);
        for (got, want) in [
            (back.x0, 10.0),
            (back.y0, 20.0),
            (back.x1, 30.0),
            (back.y1, 60.0),
        ] {
            assert!((got - want).abs() < 0.01, "{back:?}");
        }
    }
}
