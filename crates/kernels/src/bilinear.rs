//! The passes of y = W x + b, for any bilinear product W x of a kernel and an input, against loops over
//! every product of its definition, in float64.

use candle_core::{DType, Result, Tensor};

use crate::seeded::{assert_close, uniform, values};

/// The definition for one example.
pub(crate) struct Definition {
    pub(crate) batch: usize,
    pub(crate) vectors: usize,
    /// Shapes of one input, of one result, and of the kernel.
    pub(crate) input: Vec<usize>,
    pub(crate) result: Vec<usize>,
    pub(crate) kernel: Vec<usize>,
    /// The axis of the results that has the outputs, each with its bias.
    pub(crate) outputs: usize,
    /// Places of a result, a kernel element and an input whose product is a term of the result.
    pub(crate) products: Vec<[u32; 3]>,
}

/// The passes under test, with the arguments that the modules of the kernels give them.
pub(crate) struct Passes<'a> {
    /// x, W and b.
    pub(crate) forward: &'a dyn Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>,
    /// x, W, ẋ, Ẇ and ḃ.
    pub(crate) tangent: &'a Tangent<'a>,
    /// W and ȳ.
    pub(crate) input_cotangent: &'a dyn Fn(&Tensor, &Tensor) -> Result<Tensor>,
    /// x, ȳ, and the sums of the kernel and the bias.
    pub(crate) accumulate_cotangent: &'a Accumulate<'a>,
    /// Primal ȳ, ẋ and the sum of the kernel.
    pub(crate) accumulate_second_order: &'a dyn Fn(&Tensor, &Tensor, &Tensor) -> Result<()>,
    /// Primal ȳ, Ẇ and the sum of the input.
    pub(crate) add_second_order: &'a dyn Fn(&Tensor, &Tensor, &Tensor) -> Result<()>,
}

type Accumulate<'a> = dyn Fn(&Tensor, &Tensor, [&Tensor; 2]) -> Result<()> + 'a;
type Tangent<'a> =
    dyn Fn(&Tensor, &Tensor, Option<&Tensor>, &Tensor, &Tensor) -> Result<Tensor> + 'a;

impl Definition {
    /// Adds every product of an element of `a` and one of `b` to its element of `sum`; each says which of
    /// the three places it has.
    fn add(&self, sum: (usize, &mut [f64]), a: (usize, &[f64]), b: (usize, &[f64])) {
        let (to, sum) = sum;
        for product in &self.products {
            let [a, b] = [a, b].map(|(place, elements)| elements[product[place] as usize]);
            sum[product[to] as usize] += a * b;
        }
    }

    /// Holds `passes` to the definition; `bound` is that of sums of so many products.
    pub(crate) fn check(&self, dtype: DType, bound: impl Fn(usize) -> f64, passes: &Passes<'_>) {
        const RESULT: usize = 0;
        const KERNEL: usize = 1;
        const INPUT: usize = 2;
        let (batch, vectors) = (self.batch, self.vectors);
        let outputs = self.result[self.outputs];
        let shaped =
            |before: &[usize], own: &[usize], seed| uniform([before, own].concat(), seed, dtype);
        let (x, weight) = (
            shaped(&[batch], &self.input, 1),
            shaped(&[], &self.kernel, 2),
        );
        let (bias, dbias) = (
            uniform(outputs, 3, dtype),
            uniform((vectors, outputs), 6, dtype),
        );
        let dx = shaped(&[batch, vectors], &self.input, 4);
        let dweight = shaped(&[vectors], &self.kernel, 5);
        let block = shaped(&[batch, vectors], &self.result, 7);
        let primal = shaped(&[batch], &self.result, 8);
        let [x_, w_, b_, dx_, dw_, db_, block_, primal_] =
            [&x, &weight, &bias, &dx, &dweight, &dbias, &block, &primal].map(values);
        let [input, result, kernel] =
            [&self.input, &self.result, &self.kernel].map(|shape| shape.iter().product::<usize>());
        let behind: usize = self.result[self.outputs + 1..].iter().product();
        let (pixels, output) = (result / outputs, |place: usize| place / behind % outputs);
        let close = |pass, got: &Tensor, expected: &[f64], terms| {
            let what = format!("{pass} {dtype:?} {:?} {:?}", self.input, self.kernel);
            assert_close(&what, got, expected, bound(terms));
        };
        // Example, vector and number in a block.
        let all = (0..batch).flat_map(|b| (0..vectors).map(move |v| (b, v, b * vectors + v)));
        let part = |elements: &[f64], index: usize, length: usize| -> Vec<f64> {
            elements[index * length..][..length].to_vec()
        };
        let biased =
            |bias: &[f64]| -> Vec<f64> { (0..result).map(|place| bias[output(place)]).collect() };

        let mut expected = Vec::new();
        for example in 0..batch {
            let mut y = biased(&b_);
            let x = part(&x_, example, input);
            self.add((RESULT, &mut y), (KERNEL, &w_), (INPUT, &x));
            expected.extend(y);
        }
        let y = (passes.forward)(&x, &weight, &bias).unwrap();
        assert_eq!(y.dims(), primal.dims());
        close("forward", &y, &expected, input);

        for dx in [None, Some(&dx)] {
            let mut expected = Vec::new();
            for (b, v, index) in all.clone() {
                let mut dy = biased(&part(&db_, v, outputs));
                let (x, dw) = (part(&x_, b, input), part(&dw_, v, kernel));
                self.add((RESULT, &mut dy), (KERNEL, &dw), (INPUT, &x));
                if dx.is_some() {
                    let dx = part(&dx_, index, input);
                    self.add((RESULT, &mut dy), (KERNEL, &w_), (INPUT, &dx));
                }
                expected.extend(dy);
            }
            let dy = (passes.tangent)(&x, &weight, dx, &dweight, &dbias).unwrap();
            assert_eq!(dy.dims(), block.dims());
            close("tangent", &dy, &expected, 2 * input);
        }

        let mut expected = vec![0.0; batch * vectors * input];
        for (x_bar, y_bar) in expected.chunks_mut(input).zip(block_.chunks(result)) {
            self.add((INPUT, x_bar), (KERNEL, &w_), (RESULT, y_bar));
        }
        let x_bar = (passes.input_cotangent)(&weight, &block).unwrap();
        assert_eq!(x_bar.dims(), dx.dims());
        close("input cotangent", &x_bar, &expected, result);

        let sums = [
            shaped(&[vectors], &self.kernel, 9),
            uniform((vectors, outputs), 10, dtype),
        ];
        let [mut weights, mut biases] = sums.each_ref().map(values);
        for (b, v, index) in all.clone() {
            let (x, y_bar) = (part(&x_, b, input), part(&block_, index, result));
            let sum = &mut weights[v * kernel..][..kernel];
            self.add((KERNEL, sum), (RESULT, &y_bar), (INPUT, &x));
            for (place, y_bar) in y_bar.iter().enumerate() {
                biases[v * outputs + output(place)] += y_bar;
            }
        }
        let (terms, [weight_sum, bias_sum]) = (batch * pixels, sums.each_ref());
        (passes.accumulate_cotangent)(&x, &block, [weight_sum, bias_sum]).unwrap();
        close("kernel cotangent", weight_sum, &weights, terms);
        close("bias cotangent", bias_sum, &biases, terms);

        let sum = shaped(&[vectors], &self.kernel, 9);
        let mut expected = values(&sum);
        for (b, v, index) in all.clone() {
            let (y_bar, dx) = (part(&primal_, b, result), part(&dx_, index, input));
            let sum = &mut expected[v * kernel..][..kernel];
            self.add((KERNEL, sum), (RESULT, &y_bar), (INPUT, &dx));
        }
        (passes.accumulate_second_order)(&primal, &dx, &sum).unwrap();
        close("kernel second order", &sum, &expected, terms);

        let sum = shaped(&[batch, vectors], &self.input, 9);
        let mut expected = values(&sum);
        for (b, v, index) in all {
            let (y_bar, dw) = (part(&primal_, b, result), part(&dw_, v, kernel));
            let sum = &mut expected[index * input..][..input];
            self.add((INPUT, sum), (RESULT, &y_bar), (KERNEL, &dw));
        }
        (passes.add_second_order)(&primal, &dweight, &sum).unwrap();
        close("input second order", &sum, &expected, result);
    }
}
