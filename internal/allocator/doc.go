// Package allocator decides how many queries each image of a batch gets. It is
// pure: numbers in, counts out; it knows neither models nor data, and a loop of
// one's own can use it (see the example).
//
// For a budget N, min Σ V_i/n_i subject to Σ n_i = N gives n_i ∝ √V_i (Neyman
// 1934), where V_i is the variance of one query's contribution of image i. The
// allocators differ in how they guess V_i before a query is asked. None looks at
// the queries of the estimate that it allocates: an allocation that depends on
// the noise it then weighs is biased.
//
// Whatever the signals are (NaN, infinite, negative, equal, one image), every
// image gets at least MinQueries, an even number where Even, and the sum is the
// budget exactly.
package allocator
