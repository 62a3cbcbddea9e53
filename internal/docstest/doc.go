// Package docstest holds the README and the pages below docs to what they show.
// It holds tests alone: a Go program must build, a fragment in the README must
// stand in a file of this repository, a shell command must name what exists, and
// a config file must parse.
package docstest
