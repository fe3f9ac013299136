//! The formulas of one channel, as loops over its m entries in float64.

/// Mean and r of a channel.
#[derive(Clone, Copy)]
pub(super) struct Channel {
    pub(super) mean: f64,
    pub(super) r: f64,
}

fn mean(entries: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = entries.len() as f64;
    entries.sum::<f64>() / count
}

fn mean_product(a: &[f64], b: &[f64]) -> f64 {
    mean(a.iter().zip(b).map(|(a, b)| a * b))
}

/// γ̄ = Σ ȳ x̂.
pub(super) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Channel {
    /// Of the entries themselves.
    pub(super) fn of(x: &[f64], epsilon: f64) -> Self {
        let center = mean(x.iter().copied());
        let variance = mean(x.iter().map(|x| (x - center).powi(2)));
        Self {
            mean: center,
            r: (variance + epsilon).sqrt().recip(),
        }
    }

    /// x̂
    pub(super) fn normalised(self, x: &[f64]) -> Vec<f64> {
        x.iter().map(|x| (x - self.mean) * self.r).collect()
    }

    /// x̂̇ = r (ẋ - mean ẋ - x̂ mean(ẋ x̂)), and ṙ / r.
    pub(super) fn normalised_tangent(self, x: &[f64], dx: &[f64]) -> (Vec<f64>, f64) {
        let normal = self.normalised(x);
        let (center, product) = (mean(dx.iter().copied()), mean_product(dx, &normal));
        let tangent = dx
            .iter()
            .zip(&normal)
            .map(|(dx, normal)| self.r * (dx - center - normal * product))
            .collect();
        (tangent, -self.r * product)
    }

    /// x̄ = r (h - mean h - x̂ mean(h x̂)), h = γ ȳ.
    pub(super) fn input_cotangent(self, x: &[f64], gamma: f64, cotangent: &[f64]) -> Vec<f64> {
        let h: Vec<f64> = cotangent
            .iter()
            .map(|cotangent| gamma * cotangent)
            .collect();
        self.normalised_tangent(x, &h).0
    }

    /// The tangent of x̄ for a constant ȳ, with ḣ = γ̇ ȳ.
    pub(super) fn input_cotangent_tangent(
        self,
        x: &[f64],
        gamma: f64,
        cotangent: &[f64],
        dx: &[f64],
        dgamma: f64,
    ) -> Vec<f64> {
        let normal = self.normalised(x);
        let (dnormal, dr_over_r) = self.normalised_tangent(x, dx);
        let x_bar = self.input_cotangent(x, gamma, cotangent);
        let h: Vec<f64> = cotangent
            .iter()
            .map(|cotangent| gamma * cotangent)
            .collect();
        let dh: Vec<f64> = cotangent
            .iter()
            .map(|cotangent| dgamma * cotangent)
            .collect();
        let dh_mean = mean(dh.iter().copied());
        let h_normal = mean_product(&h, &normal);
        let both = mean_product(&dh, &normal) + mean_product(&h, &dnormal);
        (0..x.len())
            .map(|i| {
                self.r * (dh[i] - dh_mean - dnormal[i] * h_normal - normal[i] * both)
                    + x_bar[i] * dr_over_r
            })
            .collect()
    }
}
