// Package compare runs several settings of one experiment, the arms, over
// several seeds at an equal number of queries, and says what came out: the mean
// accuracy of each with its interval, what it cost, and how it differs from the
// first arm on the same seeds.
//
// Every run is a process of its own, so that its peak of memory is its own; a
// comparison that was stopped goes on with what is missing.
package compare
