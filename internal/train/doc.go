// Package train runs an experiment: it builds the model, the data, the
// estimator, the allocator and the optimizer that a config names, and takes the
// steps in which a batch's clean pass tells the allocator what it needs, the
// allocator says how many queries each image gets, the estimator asks them, and
// the optimizer applies what they said (docs/method.md).
//
// Everything that a step depends on is in the config, the checkpoint or the
// seed, so that a run that was killed and resumed ends with the same bits as
// one that was not.
package train
