//! Register tiles of a few rows and vectors over one piece of their columns.

use pulp::{Simd, WithSimd};

use crate::vectors::Vectors;

/// The inner products of R rows and V vectors of one length.
pub(super) struct Products<'a, T, const R: usize, const V: usize> {
    pub(super) rows: [&'a [T]; R],
    pub(super) vectors: [&'a [T]; V],
}

impl<T: Vectors, const R: usize, const V: usize> WithSimd for Products<'_, T, R, V> {
    type Output = [[T; V]; R];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [[T; V]; R] {
        let all = T::vectors::<S>(self.rows[0]).len();
        let mut rows = [&[][..]; R];
        for (row, elements) in rows.iter_mut().zip(self.rows) {
            *row = &T::vectors::<S>(elements)[..all];
        }
        let mut vectors = [&[][..]; V];
        for (vector, elements) in vectors.iter_mut().zip(self.vectors) {
            *vector = &T::vectors::<S>(elements)[..all];
        }
        let mut sums = [[T::splat(simd, T::ZERO); V]; R];
        for index in 0..all {
            for (sums, row) in sums.iter_mut().zip(&rows) {
                for (sum, vector) in sums.iter_mut().zip(&vectors) {
                    *sum = T::mul_add(simd, row[index], vector[index], *sum);
                }
            }
        }
        let behind = size_of_val(rows[0]) / size_of::<T>();
        let mut products = [[T::ZERO; V]; R];
        for row in 0..R {
            for vector in 0..V {
                let mut product = T::total(simd, sums[row][vector]);
                let rest = self.rows[row].iter().zip(self.vectors[vector]);
                for (&a, &b) in rest.skip(behind) {
                    product += a * b;
                }
                products[row][vector] = product;
            }
        }
        products
    }
}

/// w ← w + Σ cᵥ qᵥ.
pub(super) struct Combine<'a, T, const V: usize> {
    pub(super) target: &'a mut [T],
    pub(super) coefficients: [T; V],
    pub(super) vectors: [&'a [T]; V],
}

impl<T: Vectors, const V: usize> WithSimd for Combine<'_, T, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let target = T::vectors_mut::<S>(self.target);
        let mut coefficients = [T::splat(simd, T::ZERO); V];
        let mut vectors = [&[][..]; V];
        for index in 0..V {
            coefficients[index] = T::splat(simd, self.coefficients[index]);
            vectors[index] = &T::vectors::<S>(self.vectors[index])[..target.len()];
        }
        for (index, target) in target.iter_mut().enumerate() {
            for (vector, &coefficient) in vectors.iter().zip(&coefficients) {
                *target = T::mul_add(simd, coefficient, vector[index], *target);
            }
        }
        let behind = size_of_val(target) / size_of::<T>();
        for (index, target) in self.target.iter_mut().enumerate().skip(behind) {
            for (vector, &coefficient) in self.vectors.iter().zip(&self.coefficients) {
                *target += coefficient * vector[index];
            }
        }
    }
}
