// Package report turns the numbers of a run into what people look at: pictures
// of a batch ordered by what each image got, curves, CSV, self-contained HTML
// pages and TensorBoard event files. It knows numbers and images, and nothing
// of models or training.
package report
