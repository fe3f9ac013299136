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
use crate::methods::{SKETCH, near, with, xdiag};

fn decaying() -> Matrix {
    Matrix::by("decaying", 120, |i| {
        0.9_f64.powf(i) * if i % 5.0 == 4.0 { -1.0 } else { 1.0 }
    })
}

fn until(
    case: &Matrix,
    settings: &XDiagSettings,
    goal: f64,
    budget: &Budget<'_>,
    observe: &mut dyn FnMut(&Progress),
) -> Result<Measured<Diagonal>, Error> {
    let (operator, goal) = (case.operator(DType::F64), Goal::relative(goal));
    xdiag_until(&operator, settings, &goal, budget, observe)
}

/// Without a bound on products.
fn unbounded(case: &Matrix, settings: &XDiagSettings, goal: f64) -> Measured<Diagonal> {
    until(case, settings, goal, &Budget::UNLIMITED, &mut |_| ()).unwrap()
}

#[test]
fn a_tighter_goal_takes_more_products_and_each_is_reached() {
    let case = decaying();
    let truth = case.entries.diagonal().norm();
    let mut before = 0;
    for goal in [0.5, 0.1, 0.01, 1e-3] {
        let mut seen: Vec<Progress> = Vec::new();
        let mut see = |at: &Progress| seen.push(*at);
        let measured = until(&case, &SKETCH, goal, &Budget::UNLIMITED, &mut see).unwrap();
        let Measured { result, stop } = measured;
        assert_eq!(stop, Stop::Converged, "{goal}");
        assert!(result.products > before, "{goal}");
        before = result.products;
        let relative = result.relative_error(0.95).unwrap();
        assert!(relative <= goal);
        near(goal, distance(&result, &case), 0.0, goal * truth);
        // The norm and the relative error by their formulas.
        let square = |tensor: &Tensor| host(tensor).iter().map(|x| x * x).sum::<f64>();
        let (whole, error) = (square(&result.values), square(&result.standard_errors));
        let norm = result.norm().unwrap();
        let half_width = norm.half_width(0.95).unwrap();
        near(goal, norm.value, (whole - error).sqrt(), 1e-12 * truth);
        near(goal, norm.standard_error, error.sqrt(), 1e-12 * truth);
        near(goal, relative, half_width / norm.value, 1e-14);
        let (last, earlier) = seen.split_last().unwrap();
        let shown = (last.products, last.value, last.error);
        assert_eq!(shown, (result.products, norm.value, half_width));
        assert!(earlier.iter().all(|at| at.error > goal * at.value));
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
        rows.set(0);
        let (goal, budget) = (Goal::relative(0.02), Budget::UNLIMITED);
        let settings = with(SKETCH, |it| it.probes = first);
        let grown = xdiag_until(&operator, &settings, &goal, &budget, &mut |_| ());
        let grown = grown.unwrap().result;
        assert_eq!(rows.get(), grown.products);
        assert_eq!(grown.products, 2 * grown.probes);
        assert!(grown.probes > 16);
        let fixed = xdiag(&operator, &with(SKETCH, |it| it.probes = grown.probes)).unwrap();
        let numbers = |found: &Diagonal| [&found.values, &found.standard_errors].map(host).concat();
        for (grown, fixed) in numbers(&grown).into_iter().zip(numbers(&fixed)) {
            near(first, grown, fixed, tolerance);
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
        let (dim, norm) = (case.dim(), case.norm());
        let settings = with(SKETCH, |it| it.probes = dim.min(2));
        let Measured { result, stop } = unbounded(&case, &settings, 1e-13);
        assert_eq!((stop, result.probes), (Stop::Complete, dim), "{name}");
        near(name, distance(&result, &case), 0.0, 1e-13 * norm);
        // Nothing but rounding is left.
        near(name, result.relative_error(0.95).unwrap(), 0.0, 1e-12);
        for error in host(&result.standard_errors) {
            near(name, error, 0.0, 1e-13 * norm);
        }
        let settings = with(SKETCH, |it| it.probes = dim);
        let whole = xdiag(&case.operator(DType::F64), &settings).unwrap();
        near(name, distance(&whole, &case), 0.0, 1e-13 * norm);
    }
    // Nothing but zeros is known from the first probes.
    let zero = unbounded(&Matrix::new("zero", vec![0.0; 20]), &SKETCH, 0.1);
    assert_eq!((zero.stop, zero.result.probes), (Stop::Converged, 8));
}

/// It ends where the errors happen to look small, and is still right as often as it says.
#[test]
fn what_has_reached_its_goal_is_that_accurate() {
    let case = decaying();
    let truth = case.entries.diagonal().norm();
    for goal in [0.3, 0.05] {
        let inside = (0..100).filter(|&seed| {
            let measured = unbounded(&case, &with(SKETCH, |it| it.seed = seed), goal);
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
        let Measured { result, stop } = until(&case, &SKETCH, 1e-9, &budget, &mut |_| ()).unwrap();
        // Whole blocks of four probes.
        assert_eq!(
            (stop, result.products),
            (Stop::Products, products / 8 * 8),
            "{products}"
        );
    }
}

#[test]
fn it_grows_no_further_than_the_bytes_allowed() {
    let case = decaying();
    let bytes = |probes| xdiag_bytes(probes, 4, case.dim(), DType::F64);
    let mut before = 8;
    for wished in [8, 9, 16, 24, 40, 80] {
        let settings = with(SKETCH, |it| it.bytes = Some(bytes(wished)));
        let Measured { result, stop } = unbounded(&case, &settings, 1e-12);
        assert_eq!(stop, Stop::Memory, "{wished}");
        let probes = result.probes;
        // To move, a third of the vectors is there twice: of the last room at most.
        let least = (wished - wished.min(before) / 3).saturating_sub(4).max(8);
        assert!((least..=wished).contains(&probes), "{wished}: {probes}");
        assert!(probes >= before);
        before = probes;
        // Exactly so many without growing, and not one more.
        let fixed = |probes| {
            let settings = with(settings, |it| it.probes = probes);
            xdiag(&case.operator(DType::F64), &settings)
        };
        assert_eq!(fixed(wished).unwrap().probes, wished);
        let Err(Error::TooLarge {
            count,
            needed,
            allowed,
            fits,
            ..
        }) = fixed(wished + 1)
        else {
            panic!("{wished}");
        };
        assert_eq!((count, needed), (wished + 1, bytes(wished + 1)));
        assert_eq!((allowed, fits), (bytes(wished), wished));
    }
    let settings = with(SKETCH, |it| it.bytes = Some(1));
    let error = until(&case, &settings, 0.1, &Budget::UNLIMITED, &mut |_| ());
    assert!(matches!(error, Err(Error::TooLarge { fits: 0, .. })));
}
