//! Bad input gets one clear sentence and exit code 2.

use candle_core::{Device, Tensor};

use crate::program::Place;

/// Options, and parts of the sentence that refuses them. Other numbers behind a name are refused by the same parser, which
/// has tests of its own, and so have what does not fit the network and the budget, by the engine.
const REFUSED: &str = "
--what sharpness                    | there is no `sharpness` | choose from top[=K] | landscape
--what bottom=-1                    | bottom takes a number of at least 1, got `-1`
--what top=7851                     | top=7851 | the matrix has 7850 eigenvalues
--what top=11 --parameters fc.bias  | top=11 | the matrix has 10 eigenvalues
--each fc.weight,fc.bias --what top=11 | fc.bias: --what top=11: the matrix has 10
--parameters conv*                  | no parameter is called conv* | fc.weight, fc.bias
--each fc.bias,conv*                | no parameter is called conv* | fc.weight, fc.bias
--each layer --parameters fc.bias   | cannot be used with
--each layer --what norms           | --each measures blocks of the matrix: top, bottom
--what landscape                    | landscape | give --out DIR
--what top,norms --out x            | --out is for the files of density, diagonal and landscape
--what rank=2                       | --what rank=2 counts | above 0 and at most 1
--matrices hessian,hessian          | --matrices names hessian twice
--each fc.*,fc.*                    | --each names fc.* twice
--what top,quadratic --l2 1         | cannot obey --l2
--what rescaling=2                  | --what rescaling:  | no two layers
--budget 0                          | --budget must be at least 1, got 0
--block 0                           | --block must be at least 1, got 0
--steps 0                           | --steps must be at least 1, got 0
--batch-size 0                      | --batch-size must be at least 1, got 0
--what rank --budget 10             | budget is 10 products | takes 61 at least
--relative-error=-0.1               | --relative-error must be a positive number, got -0.1
--relative-error=0                  | --relative-error must be a positive number, got 0
--tolerance=nan                     | --tolerance must be a positive number, got NaN
--time-limit=0                      | --time-limit must be a positive number, got 0
--l2 -1                             | --l2 must be a finite number of at least 0, got -1
--seed -1                           | -1 | --seed | it must be a whole number of at least 0
--budget 99999999999999999999       | --budget | it is too large
--entry a                           | --entry: | has no entry `a`
--rename a=b                        | --rename: | has no entry `a`
--model mpl                         | there is no model `mpl`; the nearest is mlp, and `flatness models`
--mean 0.5,0.5 --deviation 0.5,-0.5 | a number for each channel of mnist, 1 each, got 2 and 2
--train-examples 5 --validation-examples 9999 | --train-examples | 9999 are held out | from 1 to 1, got 5
--split validation                  | --split validation needs --validation-examples
--split validation --validation-examples 10000 | validation | 10000
--train-examples 0                  | train | got 0
--train-examples 10001              | 10001
--subset seeded                     | required arguments
--sample 10001                      | subset | 10000 | got 10001
--train-examples 20 --sample 21     | 20 | got 21
--sample 0                          | got 0
--examples 0                        | --examples must be at least 1, got 0
--examples 10001                    | size of a subset must be in 1..=10000, got 10001
--what top,bottom --basis 2         | --basis must be at least 4, got 2
--matrices fisher                   | fisher | --matrices
--model mlp                         | fc0.weight
--journal /                         | cannot open the journal /";

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new("logistic");
    for row in REFUSED.trim().lines() {
        let mut parts = row.split(" | ");
        let options = parts.next().unwrap_or_default();
        let few = match options.contains("--sample") || options.contains("--examples") {
            true => "",
            false => "--examples 3 ",
        };
        let parts: Vec<&str> = parts.collect();
        place.refused(&format!("--threads 1 {few}{options}"), &parts);
    }
}

#[test]
fn a_checkpoint_with_nan_is_refused_with_the_parameter() {
    let whole = Place::new("logistic");
    let mut theta: Vec<f64> = whole.theta.to_vec1().expect("a vector");
    theta[7845] = f64::NAN;
    let theta = Tensor::new(theta, &Device::Cpu).expect("a vector");
    let place = Place::with("logistic", whole.network, theta);
    let expected = ["weights.safetensors: fc.bias has values that are not finite"];
    place.refused("--examples 3 --threads 1", &expected);
}
