// Package alloc decides how many of a batch's queries each item gets, so that the
// variance of a gradient estimated by them is as small as the budget allows. It is
// pure: numbers in, counts out; it knows neither models nor data, and a loop of
// one's own can use it (see the example). An item is whatever has a loss of its
// own: an image, a sentence, a scene. The package is version 0: names may still
// change.
//
// # The problem
//
// The estimate of a batch's gradient is the mean over its B items, and that of
// item i the mean of n_i contributions of variance V_i (the trace of their
// covariance). Its variance is (1/B²) Σ V_i/n_i, and its mean does not depend on
// n, for every allocation that does not look at the noise of the same estimate.
// Under Σ n_i = N the variance is least at
//
//	n_i ∝ √V_i
//
// (J. Neyman, On the two different aspects of the representative method, J. Royal
// Statistical Society 97, 1934), where it is (Σ √V_i)²/(B ΣV_i) of that at equal
// shares. V_i is not known before the queries are asked, and the allocators
// differ in what they take in its place:
//
//   - Uniform: nothing; equal shares, the control.
//   - Gaussian: scores drawn from a Gaussian process whose mean follows the
//     losses, with four parameters learned from the variance that queries show.
//     The method of Ren and others, FLOPS: Forward Learning with OPtimal
//     Sampling, ICLR 2025, arXiv 2410.05966.
//   - Released, Bernoulli: what that paper's published code does.
//   - Neyman: a regression of √V̂ on the free signals of the clean pass, and
//     each item's own earlier visits.
//   - Guard: watches another one, and returns to equal shares where it gains
//     nothing.
//
// Round and Ratio are what one's own allocator needs beside its shares.
//
// All learn through Observe, after a step, and use it from the next step on: an
// allocation that depends on the noise it then weighs is biased.
//
// # What is defined
//
// Every item gets at least Limits.Least, an even number where Even, the sum is the
// budget exactly, and seed and step decide everything that is drawn. A NaN signal
// counts as the mean of the batch's finite values, +Inf as the largest and -Inf as
// the smallest of them; with no finite value all items count the same. Equal
// losses standardise to zeros. An only item gets the whole budget. What the budget
// leaves over goes by largest remainder, and at equal shares begins at another item
// every step.
//
// State is taken between steps, after Observe; a restored allocator goes on bit
// for bit as the one that was stopped.
package alloc
