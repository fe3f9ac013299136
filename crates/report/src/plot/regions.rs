//! Keskar's sharpness in three regions and its prediction against their size (C6).

use flatness_records::{Record, Region};

use super::average::{Mean, averaged, reach};
use super::axis::Axis;
use super::chart::{Chart, Guide, HEIGHT, Mark, Series};

/// φ(ε) of one model in the box, the box in a random subspace and the ball, and λ₁ε²/2(1 + L).
pub(super) fn sharpness(model: &str, records: &[&Record]) -> Chart {
    let of_region = |region| {
        let points = records.iter().flat_map(|record| &record.keskar);
        points.filter(move |point| point.region == region)
    };
    // The prediction is the same for every region.
    let predicted = of_region(Region::Ball).map(|point| (point.epsilon, point.predicted.value));
    let mut all = vec![series("λ₁ε²/2(1 + L)", predicted)];
    for (label, region) in [
        ("φ, box", Region::Box),
        ("φ, subspace", Region::Subspace),
        ("φ, ball", Region::Ball),
    ] {
        let found = of_region(region).map(|point| (point.epsilon, point.phi));
        all.push(series(label, found));
    }
    let epsilons = all.iter().flat_map(|series| &series.points);
    let x = Axis::logarithmic("size ε of the region", epsilons.map(|point| point.x));
    let y = Axis::logarithmic("φ(ε)", all.iter().flat_map(|series| reach(&series.points)));
    Chart {
        height: HEIGHT,
        title: model.to_owned(),
        x,
        y,
        series: all,
        guide: Guide::None,
    }
}

fn series(label: &str, pairs: impl Iterator<Item = (f64, f64)>) -> Series {
    Series {
        label: label.to_owned(),
        points: averaged(Mean::Geometric, pairs),
        mark: Mark::LineAndMarkers,
    }
}
