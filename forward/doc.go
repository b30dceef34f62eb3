// Package forward estimates gradients from forward passes alone, by the
// likelihood-ratio method: of any model that answers queries, one that is not
// differentiable or can only be called too. NewFunc makes a Model of a function
// that returns a loss for each item; Weight and Activation make an Estimator of a
// model, whose Step is one estimate, its queries shared out by an allocator of
// package alloc. Local makes one of the layers of a model that knows their own
// derivatives, Shared one of few parameters of all layers. The package is
// version 0: names may still change.
//
// # The estimates
//
// A query is one evaluation of one item's loss under noise. With directions
// z_p ~ N(0, I) and the scale σ, a pair of queries gives the coefficient
//
//	c_ip = (ℓ_i(θ+σz_p) − ℓ_i(θ−σz_p)) / 2σ
//
// and a single one (ℓ_i(θ+σz_p) − ℓ_i(θ)) / σ. The estimate of the gradient of
// (1/B) Σ ℓ_i, smoothed by the noise, is
//
//	Weight:     Σ_i Σ_p c_ip z_p / (B·P_i)          the items share z_p (SPSA, Spall 1992)
//	Activation: Σ_i Σ_p c_ip ε_ipᵀ x_i / (B·P_i)    noise ε_ip at the outputs z = x Wᵀ + b of a
//	                                                linear map (a Site) with inputs x_i
//
// where P_i is the number of directions of item i. The weight 1/(B·P_i) is what
// keeps the mean equal to the gradient for every allocation (Ren and others, FLOPS:
// Forward Learning with OPtimal Sampling, ICLR 2025, arXiv 2410.05966, equations 3
// to 5). Noise comes from a counter (package noise), is made again instead of stored,
// and memory does not grow with the queries.
//
// # Models
//
// A Model is Params, Sites and Clean; Clean runs the unperturbed forward of a batch
// and returns the Pass of which queries are asked. Whoever else answers the queries
// is one type that implements Evaluator.
package forward
