// Package archtest keeps the import graph of docs/ARCHITECTURE.md: which room may
// know which other. It holds tests alone. rules_test.go is the table of rules;
// whoever adds a package or an import that breaks one gets the rule's name and
// what to do from `go test ./internal/archtest`.
package archtest
