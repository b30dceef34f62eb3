// Package cluster shares the queries of a run out to other machines, over NATS.
//
// Noise comes from a counter, so that a query is named by its step, its perturbation, its
// image and its direction, and its answer is one number. Every worker has the run's data
// and its weights, runs the clean pass of every step, answers the queries that it is
// given, and makes the update that the journal's record of the step describes. Weights
// travel once, when a worker joins; nothing is summed across machines, so that any number
// of workers gives the bits of none.
//
// The coordinator is the process that trains (Coordinator). It has the table of what is
// to be answered in its memory and the truth in the run's journal: a record is on its
// disk before a worker hears of it. A worker asks for work in one request that also
// carries what it has answered, and the reply is a task, the record of a step that is
// over, or, when there is nothing to do, late:
//
//	flops.RUN.manifest  request  the experiment, without addresses, paths and programs
//	flops.RUN.hello     request  arithmetic and data of a worker; accepted, or why not
//	flops.RUN.work      request  a result, and a task or a record (message.go)
//	flops.RUN.alive     message  8 bytes: the worker that is computing
//
// NATS carries that as plain requests, so that a server that loses its memory loses
// nothing of a run. JetStream keeps what others than the two ends of a request look at:
// in the key-value bucket flops_runs every run with its workers, which expires when the
// coordinator is gone, and in the object store flops_RUN the checkpoint that a worker
// begins with.
package cluster
