// Package tune finds settings of an experiment, such as its learning rate, by short
// runs that are scored on the validation split.
//
// One setting is searched after another, by successive halving (Jamieson and
// Talwalkar, AISTATS 2016, arXiv 1502.07943): all of its values are tried for a few
// steps, the better half goes on until it has twice as many, and so on, until two
// are left, of which the better one stays for the next setting. Every try is an
// ordinary run that was stopped, so it goes on where it was, and a search that was
// stopped goes on with what is missing.
//
// Of the rate, short runs alone say too much where long ones overfit, so that a search
// ends with whole runs of the rate that was chosen and of those beside it.
//
// What the short runs of a search may spend is a share of the queries of the run that is tuned for,
// and every arm of a comparison gets as many tries.
package tune
