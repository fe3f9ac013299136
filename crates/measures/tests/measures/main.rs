//! Every measure against dense matrices, grid search and closed forms; one program, so that it is
//! linked once.

mod ball;
mod estimate;
mod interrupts;
mod keskar;
mod norms;
mod pac_bayes;
mod relative_flatness;
mod rescaling;
mod rises;
mod scaling;
mod toy;
mod two_parameters;
