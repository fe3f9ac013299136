//! Points of a series: means over seeds at equal x, with bars of one standard error.

use super::chart::{Bar, Point};
use crate::Estimate;

/// Which mean is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mean {
    /// x̄ ± s.e.
    Arithmetic,
    /// Median, and from the smallest to the largest value.
    Median,
    /// exp(mean of ln ± its s.e.), for logarithmic axes; there is no point where a seed has a value
    /// that is not positive, lest the others pass for all.
    Geometric,
}

/// One point for each distinct x, in ascending order.
pub(super) fn averaged(mean: Mean, pairs: impl IntoIterator<Item = (f64, f64)>) -> Vec<Point> {
    let mut pairs: Vec<(f64, f64)> = pairs.into_iter().collect();
    pairs.sort_by(|left, right| left.0.total_cmp(&right.0));
    let groups = pairs.chunk_by(|left, right| left.0 == right.0);
    groups.filter_map(|group| point(mean, group)).collect()
}

fn point(mean: Mean, group: &[(f64, f64)]) -> Option<Point> {
    if mean == Mean::Median {
        return median(group);
    }
    let scaled = |&(_, y): &(f64, f64)| if mean == Mean::Geometric { y.ln() } else { y };
    let values: Vec<f64> = group.iter().map(scaled).collect();
    let estimate = Estimate::of(&values).filter(|estimate| estimate.mean.is_finite())?;
    let y = |value: f64| {
        if mean == Mean::Geometric {
            value.exp()
        } else {
            value
        }
    };
    let bar = estimate.standard_error.map_or(Bar::None, |error| {
        Bar::Vertical(y(estimate.mean - error), y(estimate.mean + error))
    });
    Some(Point {
        x: group.first()?.0,
        y: y(estimate.mean),
        bar,
    })
}

fn median(group: &[(f64, f64)]) -> Option<Point> {
    let mut values: Vec<f64> = group.iter().map(|&(_, y)| y).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    let lower = if values.len() % 2 == 1 {
        upper
    } else {
        *values.get(middle.checked_sub(1)?)?
    };
    let bar = match values.as_slice() {
        [low, .., high] => Bar::Vertical(*low, *high),
        _ => Bar::None,
    };
    Some(Point {
        x: group.first()?.0,
        y: 0.5 * (lower + upper),
        bar,
    })
}

/// Every y that the points and their bars reach. A bar to below a hundredth of its value is cut
/// off by the axis instead: on a logarithmic one it would leave the values no room.
pub(super) fn reach(points: &[Point]) -> impl Iterator<Item = f64> {
    points.iter().flat_map(|point| match point.bar {
        Bar::Vertical(low, high) => [point.y, low.max(point.y / 100.0), high],
        Bar::Both(_, [low, high]) => [point.y, low.max(point.y / 100.0), high],
        Bar::None | Bar::Horizontal(..) => [point.y; 3],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_x_are_averaged_and_the_rest_sorted() {
        let points = averaged(Mean::Arithmetic, [(2.0, 5.0), (1.0, 1.0), (1.0, 3.0)]);
        let expected = [
            Point {
                x: 1.0,
                y: 2.0,
                bar: Bar::Vertical(1.0, 3.0),
            },
            Point {
                x: 2.0,
                y: 5.0,
                bar: Bar::None,
            },
        ];
        assert_eq!(points, expected);
    }

    #[test]
    fn a_median_spans_its_values() {
        let points = averaged(
            Mean::Median,
            [(1.0, 9.0), (1.0, 2.0), (1.0, 3.0), (2.0, 4.0), (2.0, 8.0)],
        );
        let expected =
            [(1.0, 3.0, 2.0, 9.0), (2.0, 6.0, 4.0, 8.0)].map(|(x, y, low, high)| Point {
                x,
                y,
                bar: Bar::Vertical(low, high),
            });
        assert_eq!(points, expected);
    }

    #[test]
    fn a_geometric_mean_needs_every_seed() {
        let pairs = [
            (0.0, 1.0),
            (0.0, 100.0),
            (1.0, 5.0),
            (1.0, 0.0),
            (2.0, -1.0),
        ];
        let points = averaged(Mean::Geometric, pairs);
        assert_eq!(points.len(), 1);
        // exp(ln 10) differs from 10 by a few rounding errors.
        assert!((points[0].y - 10.0).abs() < 1e-12);
    }
}
