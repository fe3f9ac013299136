//! XDiag that goes on until the whole diagonal is accurate enough, against the dense diagonal; and what ends it
//! before.

use std::cell::Cell;

use candle_core::{DType, Tensor};
use flatness_spectrum::{
    Budget, Diagonal, Error, Goal, Measured, Progress, Stop, XDiagSettings, xdiag_bytes,
    xdiag_until,
};

use crate::diagonal::{distance, host};
use crate::matrices::{Matrix, custom, tensor};
use crate::methods::{SKETCH, xdiag};

fn decaying() -> Matrix {
    let eigenvalues = (0..120).map(|i| 0.9_f64.powi(i) * if i % 5 == 4 { -1.0 } else { 1.0 });
    Matrix::new("decaying", eigenvalues.collect())
}

fn until(
    case: &Matrix,
    settings: &XDiagSettings,
    goal: f64,
    budget: &Budget<'_>,
) -> Result<Measured<Diagonal>, Error> {
    let (operator, goal) = (case.operator(DType::F64), Goal::relative(goal));
    xdiag_until(&operator, settings, &goal, budget, &mut |_| ())
}

#[test]
fn a_tighter_goal_takes_more_products_and_each_is_reached() {
    let case = decaying();
    let truth = case.entries.diagonal().norm();
    let mut before = 0;
    for goal in [0.5, 0.1, 0.01, 1e-3] {
        let mut seen: Vec<Progress> = Vec::new();
        let measured = xdiag_until(
            &case.operator(DType::F64),
            &SKETCH,
            &Goal::relative(goal),
            &Budget::UNLIMITED,
            &mut |at| seen.push(*at),
        )
        .unwrap();
        let Measured { result, stop } = measured;
        assert_eq!(stop, Stop::Converged, "{goal}");
        assert!(result.products > before, "{goal}");
        before = result.products;
        assert!(result.relative_error(0.95).unwrap() <= goal);
        let away = distance(&result, &case);
        assert!(away <= goal * truth, "{goal}: {away:e}");
        // The norm and the relative error by their formulas.
        let square = |tensor: &Tensor| host(tensor).iter().map(|x| x * x).sum::<f64>();
        let (whole, error) = (square(&result.values), square(&result.standard_errors));
        let norm = result.norm().unwrap();
        assert!((norm.value - (whole - error).sqrt()).abs() <= 1e-12 * truth);
        assert!((norm.standard_error - error.sqrt()).abs() <= 1e-12 * truth);
        let half_width = norm.half_width_95().unwrap();
        let relative = result.relative_error(0.95).unwrap();
        assert!((relative - half_width / norm.value).abs() <= 1e-14);
        let last = seen.last().unwrap();
        assert_eq!(
            (last.products, last.value, last.error),
            (result.products, norm.value, half_width)
        );
        for at in &seen[..seen.len() - 1] {
            assert!(at.error > goal * at.value);
        }
        // An eighth or a block more at a time.
        for pair in seen.windows(2) {
            let more = pair[1].products - pair[0].products;
            assert!(more <= pair[0].products / 8 + 8, "{more}");
        }
    }
}

/// The products made by the operator are those of the result, and none of them twice.
#[test]
fn it_is_what_begins_with_as_many_probes() {
    let case = decaying();
    let transposed = tensor(&case.entries.transpose());
    let rows = Cell::new(0);
    let operator = custom(case.dim(), DType::F64, |block: &Tensor| {
        rows.set(rows.get() + block.dim(0)?);
        block.matmul(&transposed)
    });
    // In the same blocks to the last bit; in others to the rounding of products of several rows.
    for (first, tolerance) in [(8, 0.0), (6, 1e-12)] {
        let settings = XDiagSettings {
            probes: first,
            ..SKETCH
        };
        rows.set(0);
        let goal = Goal::relative(0.02);
        let budget = Budget::UNLIMITED;
        let grown = xdiag_until(&operator, &settings, &goal, &budget, &mut |_| ()).unwrap();
        let grown = grown.result;
        assert_eq!(rows.get(), grown.products);
        assert_eq!(grown.products, 2 * grown.probes);
        assert!(grown.probes > 16);
        let settings = XDiagSettings {
            probes: grown.probes,
            ..SKETCH
        };
        let fixed = xdiag(&operator, &settings).unwrap();
        for (grown, fixed) in [
            (&grown.values, &fixed.values),
            (&grown.standard_errors, &fixed.standard_errors),
        ] {
            for (grown, fixed) in host(grown).into_iter().zip(host(fixed)) {
                assert!((grown - fixed).abs() <= tolerance, "{grown:e} {fixed:e}");
            }
        }
    }
}

#[test]
fn a_sketch_of_the_whole_space_is_complete_and_errs_by_rounding() {
    for (name, eigenvalues) in [
        ("one", vec![-7.0]),
        ("two", vec![3.0, -1.0]),
        ("thirty", (1..=30).map(f64::from).collect()),
    ] {
        let case = Matrix::new(name, eigenvalues);
        let settings = XDiagSettings {
            probes: case.dim().min(2),
            ..SKETCH
        };
        let measured = until(&case, &settings, 1e-13, &Budget::UNLIMITED).unwrap();
        let Measured { result, stop } = measured;
        assert_eq!(
            (stop, result.probes),
            (Stop::Complete, case.dim()),
            "{name}"
        );
        assert!(distance(&result, &case) <= 1e-13 * case.norm(), "{name}");
        // Nothing but rounding is left.
        assert!(result.relative_error(0.95).unwrap() <= 1e-12, "{name}");
        let half_widths = host(&result.half_widths(0.95).unwrap());
        assert!(
            half_widths
                .iter()
                .all(|&half_width| half_width <= 1e-12 * case.norm())
        );
        let settings = XDiagSettings {
            probes: case.dim(),
            ..SKETCH
        };
        let whole = xdiag(&case.operator(DType::F64), &settings).unwrap();
        assert!(distance(&whole, &case) <= 1e-13 * case.norm(), "{name}");
    }
    // Nothing but zeros is known from the first probes.
    let zero = Matrix::new("zero", vec![0.0; 20]);
    let measured = until(&zero, &SKETCH, 0.1, &Budget::UNLIMITED).unwrap();
    assert_eq!(
        (measured.stop, measured.result.probes),
        (Stop::Converged, 8)
    );
}

/// It ends where the errors happen to look small, and is still right as often as it says.
#[test]
fn what_has_reached_its_goal_is_that_accurate() {
    let case = decaying();
    let truth = case.entries.diagonal().norm();
    for goal in [0.3, 0.05] {
        let inside = (0..100).filter(|&seed| {
            let settings = XDiagSettings { seed, ..SKETCH };
            let measured = until(&case, &settings, goal, &Budget::UNLIMITED).unwrap();
            assert_eq!(measured.stop, Stop::Converged);
            distance(&measured.result, &case) <= goal * truth
        });
        let inside = inside.count();
        assert!(inside >= 95, "{goal}: {inside} of 100");
    }
}

#[test]
fn the_budget_is_never_exceeded() {
    let case = decaying();
    for products in [16, 17, 23, 24, 25, 60, 99] {
        let budget = Budget::of_products(products);
        let measured = until(&case, &SKETCH, 1e-9, &budget).unwrap();
        assert_eq!(measured.stop, Stop::Products, "{products}");
        // Whole blocks of four probes.
        assert_eq!(measured.result.products, products / 8 * 8, "{products}");
    }
}

#[test]
fn it_grows_no_further_than_the_bytes_allowed() {
    let case = decaying();
    let (dim, dtype) = (case.dim(), DType::F64);
    let bytes = |probes| xdiag_bytes(probes, 4, dim, dtype);
    let mut before = 8;
    for wished in [8, 9, 16, 24, 40, 80] {
        let allowed = bytes(wished);
        let settings = XDiagSettings {
            bytes: Some(allowed),
            ..SKETCH
        };
        let measured = until(&case, &settings, 1e-12, &Budget::UNLIMITED).unwrap();
        assert_eq!(measured.stop, Stop::Memory, "{wished}");
        let probes = measured.result.probes;
        // To move, a third of the vectors is there twice: of the last room at most.
        let least = (wished - wished.min(before) / 3).saturating_sub(4).max(8);
        assert!((least..=wished).contains(&probes), "{wished}: {probes}");
        assert!(probes >= before);
        before = probes;
        // Exactly so many without growing, and not one more.
        let fixed = |probes| {
            let settings = XDiagSettings { probes, ..settings };
            xdiag(&case.operator(dtype), &settings)
        };
        assert_eq!(fixed(wished).unwrap().probes, wished);
        match fixed(wished + 1).unwrap_err() {
            Error::TooLarge {
                count,
                needed,
                allowed: said,
                fits,
                ..
            } => {
                assert_eq!((count, needed), (wished + 1, bytes(wished + 1)));
                assert_eq!((said, fits), (allowed, wished));
            }
            other => panic!("{other}"),
        }
    }
    let settings = XDiagSettings {
        bytes: Some(1),
        ..SKETCH
    };
    let error = until(&case, &settings, 0.1, &Budget::UNLIMITED).unwrap_err();
    assert!(matches!(error, Error::TooLarge { fits: 0, .. }));
}
