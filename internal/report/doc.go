// Package report turns the numbers of a run into what people look at: pictures
// of a batch ordered by what each image got, curves, CSV, self-contained HTML
// pages and TensorBoard event files. It knows numbers and images, and nothing
// of models or training.
//
// A page is a list of sections and a section a list of blocks (Chart, Bars,
// Forest, Table, Gallery, Code, Facts). AllocationReport, RunReport and
// CompareReport build the pages of the tool from plain data. A page is one file:
// styles, charts and images are inside, there is no script, and its content
// security policy forbids the browser to load anything. It follows the reader's
// light or dark setting and reads on a telephone; colours are those of Okabe and
// Ito, which people with a colour-vision deficiency can tell apart.
//
// Numbers that are NaN or infinite are gaps in charts and dashes in tables.
package report
