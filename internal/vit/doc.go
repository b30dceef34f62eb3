// Package vit is the vision transformer: its architecture, its parameters under
// Hugging Face names, the Gorgonia graphs of fused ops that compute it, and a
// Model that answers the queries of an estimator with them. Model knows what a
// clean pass, a query and a gradient are; a Backend computes them on one kind of
// device, of which the processor's is here.
//
// Four kinds of graphs are built, all of the same ops:
//
//   - the whole forward (images to losses), with taps on the activations that
//     suffixes start from;
//   - one suffix per set of noisy sites: it reads the clean activations of each
//     query's image in place, adds the noise, and computes what depends on it;
//   - the forward from a boundary on, below which nothing is perturbed;
//   - the whole forward with its gradient, differentiated by Gorgonia through
//     the ops' own SymDiff (the bp baseline).
//
// Only the cls row of the last block is ever read by the classifier, so every
// graph computes that row alone after the last block's keys and values.
package vit
