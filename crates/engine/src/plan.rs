//! What is to be measured of what, all of which can be: every refusal comes before any work.

use std::collections::HashSet;
use std::ops::Range;

use flatness_data::Examples;
use flatness_layers::ParamLayout;
use flatness_records::{Matrix, Request, Streams, What};

use crate::context::Place;
use crate::cost::{of_hessian_alone, of_matrix, of_network};
use crate::measures::{Asked, Of, measures};
use crate::point::{Point, Precision, batch_size, part, retention};
use crate::room::Room;
use crate::suite::Suite;
use crate::{Error, Resources, Subject, sampling};

/// What `--each` takes in place of patterns.
const LAYERS: &str = "layer";

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// What less memory changes, a sentence each.
    pub notes: Vec<String>,
    pub(crate) places: Vec<Place>,
}

/// Refuses what cannot be measured, before any work.
///
/// # Errors
/// A measure without a meaning for this network or this request, a budget below what is needed, memory that does not
/// hold the least.
pub fn plan(
    subject: &Subject<'_>,
    request: &Request,
    resources: &Resources<'_>,
) -> Result<Plan, Error> {
    once(request)?;
    obeyed(request)?;
    meaningful(request, subject.examples)?;
    let part = part(subject, request, Streams::new(0))?;
    let examples = part
        .as_ref()
        .map_or(subject.examples, |part| part as &dyn Examples);
    let batch_size = batch_size(request, examples)?;
    let mut plan = Plan {
        notes: Vec::new(),
        places: places(subject.network.layout(), request)?,
    };
    for precision in precisions(request) {
        let point = Point::new(subject, request.batch_norm, precision)?;
        let mean_loss = point.mean_loss(examples, batch_size, resources)?;
        retention(&mean_loss, &point.theta, resources.activations)?;
        let sizes = |rows: usize| [rows, point.theta.elem_count(), mean_loss.sweeps_at_a_time()];
        let dtype = precision.dtype(subject);
        let room = |rows: usize| Room::new(request, sizes(rows), dtype, resources.vectors);
        for place in &plan.places {
            let note = place.named(|| {
                let suite = suite(request, place, precision);
                let rows = place.rows();
                for Asked { measure, .. } in &suite.measures {
                    measure.check(&point.network, rows)?;
                }
                suite.purse(request, rows)?;
                let mut room = room(rows);
                room.journalled = precision == Precision::Own && resources.journal.is_some();
                let fit = suite.fit(&mut room)?;
                if request.sample.is_some() && request.what.contains(&What::Frobenius) {
                    sampling::memory(&room)?;
                }
                Ok((fit.basis < fit.wished).then(|| {
                    let of = place.group.as_ref().map_or_else(String::new, |group| format!(" of {group}"));
                    let (basis, wished) = (fit.basis, fit.wished);
                    format!(
                        "the search for eigenvalues{of} holds {basis} vectors, not {wished}, to fit --vector-memory"
                    )
                }))
            })?;
            plan.notes.extend(note);
        }
        for Asked { measure, .. } in of_network(request, precision) {
            measure.check(&point.network, point.theta.elem_count())?;
            let mut room = room(point.theta.elem_count());
            room.kept = room.whole * measure.kind().leading as u64;
            measure.memory(&room)?;
        }
    }
    Ok(plan)
}

/// Double precision only where something takes it.
pub(crate) fn precisions(request: &Request) -> Vec<Precision> {
    let double = measures(&request.what)
        .iter()
        .any(|one| one.measure.kind().precision == Precision::Double);
    [Precision::Own, Precision::Double]
        .into_iter()
        .take(if double { 2 } else { 1 })
        .collect()
}

/// What is measured of the matrix at `place`.
pub(crate) fn suite(request: &Request, place: &Place, precision: Precision) -> Suite {
    match (place.recorded, precision) {
        (true, _) => Suite::new(of_matrix(request, place.matrix, precision)),
        (false, Precision::Own) => of_hessian_alone(request).unwrap_or_default(),
        (false, Precision::Double) => Suite::default(),
    }
}

/// Refuses what would be measured twice, and a rank that is zero of any matrix.
fn once(request: &Request) -> Result<(), Error> {
    let matrices = request
        .matrices
        .iter()
        .map(|matrix| matrix.name().to_owned());
    let epochs = request.epochs.iter().map(u32::to_string);
    for (field, all) in [
        ("--matrices", matrices.collect::<Vec<_>>()),
        ("--each", request.each.clone()),
        ("measure.epochs", epochs.collect()),
    ] {
        let mut seen = HashSet::new();
        if let Some(got) = all.into_iter().find(|one| !seen.insert(one.clone())) {
            return Err(Error::Twice { field, got });
        }
    }
    let mut shares = request.what.iter().filter_map(|what| match *what {
        What::Rank(share) => Some(share),
        _ => None,
    });
    match shares.find(|share| *share > 1.0) {
        Some(share) => Err(Error::Rank { share }),
        None => Ok(()),
    }
}

/// Refuses measures that cannot do what is asked of all.
fn obeyed(request: &Request) -> Result<(), Error> {
    for Asked { what, measure } in measures(&request.what) {
        let (what, kind) = (what.join(","), measure.kind());
        if !request.each.is_empty() && kind.of != Of::Matrix {
            return Err(Error::Groups { what });
        }
        let disobeyed = [
            (request.l2 != 0.0 && !kind.l2, "--l2"),
            (
                !request.parameters.is_empty() && !kind.parameters,
                "--parameters",
            ),
        ];
        if let Some((_, option)) = disobeyed.into_iter().find(|(disobeyed, _)| *disobeyed) {
            return Err(Error::Disobedient { what, option });
        }
    }
    Ok(())
}

/// Refuses measures of the classes of examples whose labels are something else.
fn meaningful(request: &Request, examples: &dyn Examples) -> Result<(), Error> {
    let asked = measures(&request.what).into_iter();
    let mut of_classes = asked.filter(|asked| asked.measure.kind().classes);
    match of_classes.next() {
        Some(Asked { what, .. }) if !examples.is_classified() => Err(Error::NoClasses {
            what: what.join(","),
            data: examples.name().to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The matrices, or their blocks, in order, and the Hessian alone where others take its eigenvectors.
fn places(layout: &ParamLayout, request: &Request) -> Result<Vec<Place>, Error> {
    let groups: Vec<(Option<String>, Vec<Range<usize>>)> = match request.each.as_slice() {
        [] if request.parameters.is_empty() => vec![(None, layout.select(&["*"])?)],
        [] => vec![(None, layout.select(&request.parameters)?)],
        [only] if only == LAYERS => layout
            .layers()
            .into_iter()
            .map(|(name, range)| (Some(name.to_owned()), vec![range]))
            .collect(),
        patterns => patterns
            .iter()
            .map(|pattern| Ok((Some(pattern.clone()), layout.select(&[pattern])?)))
            .collect::<Result<_, Error>>()?,
    };
    let place = |matrix: Matrix, group: &(Option<String>, Vec<Range<usize>>), recorded| Place {
        matrix,
        group: group.0.clone(),
        ranges: group.1.clone(),
        parameters: layout.dim(),
        recorded,
    };
    let mut places = Vec::new();
    for &matrix in &request.matrices {
        places.extend(groups.iter().map(|group| place(matrix, group, true)));
    }
    if of_hessian_alone(request).is_some() {
        places.push(place(Matrix::Hessian, &groups[0], false));
    }
    Ok(places)
}
