//! What layer and group normalisation have in common: groups of neighbouring elements, each normalised by itself.

use candle_core::Tensor;
use flatness_kernels::layer_norm::{self, Point as Normalised};

use crate::{Cotangent, Error, Initializer, Parameter, Point, Tangent};

/// ε of `torch.nn.LayerNorm` and `torch.nn.GroupNorm`.
pub(crate) const EPSILON: f64 = 1e-5;

/// The parameters that a normalisation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scaling {
    /// None: y = x̂.
    None,
    /// γ
    Weight,
    /// γ and β
    WeightAndBias,
}

impl Scaling {
    /// Scale γ = 1 and shift β = 0 at first, as in PyTorch.
    pub(crate) fn parameters(self, shape: &[usize]) -> Vec<Parameter> {
        let parameter = |(name, value): (&str, f64)| Parameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
            initializer: Initializer::Constant { value },
        };
        let all = [("weight", 1.0), ("bias", 0.0)];
        let count = match self {
            Self::None => 0,
            Self::Weight => 1,
            Self::WeightAndBias => 2,
        };
        all.into_iter().take(count).map(parameter).collect()
    }
}

/// Groups of `width` neighbouring elements of an example, whose parameters serve `run` neighbours each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Groups {
    pub(crate) width: usize,
    pub(crate) run: usize,
    pub(crate) epsilon: f64,
}

/// One axis (P), behind that of vectors where there is one.
fn flat(parameters: &[Tensor], axis: usize) -> Result<[Option<Tensor>; 2], Error> {
    let flat = |index: usize| parameters.get(index).map(|own| own.flatten_from(axis));
    Ok([flat(0).transpose()?, flat(1).transpose()?])
}

impl Groups {
    fn at<'a>(
        self,
        saved: &'a [Tensor],
        gamma: Option<&'a Tensor>,
    ) -> Result<Normalised<'a>, Error> {
        let [normalised, r] = saved else {
            return Err(Error::Value);
        };
        let run = self.run;
        Ok(Normalised {
            normalised,
            r,
            gamma,
            run,
        })
    }

    pub(crate) fn forward(
        self,
        parameters: &[Tensor],
        x: &Tensor,
    ) -> Result<(Tensor, Vec<Tensor>), Error> {
        let [gamma, beta] = flat(parameters, 0)?;
        let (normalised, r) = layer_norm::normalise(x, self.width, self.epsilon)?;
        let saved = vec![normalised, r];
        let y = layer_norm::forward(self.at(&saved, gamma.as_ref())?, beta.as_ref())?;
        Ok((y, saved))
    }

    pub(crate) fn jvp(self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let ([gamma, _], [dgamma, dbeta]) = (flat(at.parameters, 0)?, flat(tangent.parameters, 1)?);
        if tangent.input().is_none() && dgamma.is_none() {
            return Ok(None);
        }
        let (at, dx) = (self.at(at.saved, gamma.as_ref())?, tangent.input());
        let dy = layer_norm::tangent(at, dx, dgamma.as_ref(), dbeta.as_ref())?;
        Ok(Some(dy))
    }

    pub(crate) fn vjp_input(self, at: Point<'_>, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let [gamma, _] = flat(at.parameters, 0)?;
        let at = self.at(at.saved, gamma.as_ref())?;
        Ok(Cotangent::Fresh(layer_norm::input_cotangent(
            at, cotangent,
        )?))
    }

    pub(crate) fn vjp_parameters(
        self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let ([gamma, _], [gamma_sum, beta_sum]) = (flat(at.parameters, 0)?, flat(sums, 1)?);
        let Some(gamma_sum) = gamma_sum else {
            return Ok(());
        };
        let at = self.at(at.saved, gamma.as_ref())?;
        Ok(layer_norm::accumulate_cotangent(
            at,
            cotangent,
            &gamma_sum,
            beta_sum.as_ref(),
        )?)
    }

    pub(crate) fn add_terms(
        self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        sums: &[Tensor],
        input_sum: Option<&Tensor>,
    ) -> Result<(), Error> {
        let ([gamma, _], [dgamma, _]) = (flat(at.parameters, 0)?, flat(tangent.parameters, 1)?);
        let [gamma_sum, _] = flat(sums, 1)?;
        let at = self.at(at.saved, gamma.as_ref())?;
        let (dgamma, gamma_sum) = (dgamma.as_ref(), gamma_sum.as_ref());
        Ok(layer_norm::add_second_order(
            at,
            cotangent,
            tangent.input(),
            dgamma,
            gamma_sum,
            input_sum,
        )?)
    }
}

/// The rules of a [`Layer`](crate::Layer) that are those of its `groups(input shape)`.
macro_rules! by_groups {
    ($layer:ty) => {
        impl $crate::Layer for $layer {
            fn parameters(&self) -> Vec<$crate::Parameter> {
                self.scaling.parameters(&self.parameter_shape())
            }

            fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
                let shape = $crate::layer::only(inputs)?;
                self.groups(shape).map(|_| shape.to_vec())
            }

            fn forward(
                &self,
                parameters: &[candle_core::Tensor],
                inputs: &[&candle_core::Tensor],
            ) -> Result<(candle_core::Tensor, Vec<candle_core::Tensor>), $crate::Error> {
                let shape = inputs[0].dims().get(1..).unwrap_or_default();
                let groups = self.groups(shape).map_err(|_| $crate::Error::Value)?;
                groups.forward(parameters, inputs[0])
            }

            fn jvp(
                &self,
                at: $crate::Point<'_>,
                tangent: $crate::Tangent<'_>,
            ) -> Result<Option<candle_core::Tensor>, $crate::Error> {
                self.at(at)?.jvp(at, tangent)
            }

            fn vjp_input(
                &self,
                at: $crate::Point<'_>,
                _: usize,
                cotangent: &candle_core::Tensor,
            ) -> Result<$crate::Cotangent, $crate::Error> {
                self.at(at)?.vjp_input(at, cotangent)
            }

            fn vjp_parameters(
                &self,
                at: $crate::Point<'_>,
                cotangent: &candle_core::Tensor,
                sums: &[candle_core::Tensor],
            ) -> Result<(), $crate::Error> {
                self.at(at)?.vjp_parameters(at, cotangent, sums)
            }

            fn second_order(&self) -> $crate::SecondOrder<'_> {
                $crate::SecondOrder::Terms(self)
            }

            fn normalizes(&self) -> bool {
                true
            }
        }

        impl $crate::SecondOrderRule for $layer {
            fn add_terms(
                &self,
                at: $crate::Point<'_>,
                cotangent: &candle_core::Tensor,
                tangent: $crate::Tangent<'_>,
                sums: &[candle_core::Tensor],
                input_sums: &[Option<&candle_core::Tensor>],
            ) -> Result<(), $crate::Error> {
                self.at(at)?
                    .add_terms(at, cotangent, tangent, sums, input_sums[0])
            }
        }

        impl $layer {
            fn at(&self, at: $crate::Point<'_>) -> Result<$crate::groups::Groups, $crate::Error> {
                self.groups(&at.input_shapes[0])
                    .map_err(|_| $crate::Error::Value)
            }
        }
    };
}
pub(crate) use by_groups;
