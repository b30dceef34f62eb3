// Package lr holds the estimators under the names that a config knows, with hints
// and settings; what they do is package forward's. Backpropagation, the yardstick, is
// one of them. It also keeps the ledger of what queries cost.
package lr
