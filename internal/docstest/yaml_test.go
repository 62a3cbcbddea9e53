package docstest

import (
	"strings"
	"testing"

	"github.com/colonyq/colony/framework"
)

// A block marked ```yaml colony.yaml is a config file that the commands accept.
func TestConfigFiles(t *testing.T) {
	t.Parallel()
	for _, s := range pages(t) {
		if s.Lang == "yaml" && s.Mark == "colony.yaml" {
			if err := checkConfig(s); err != nil {
				t.Error(err)
			}
		}
	}
}

// checkConfig parses and validates it. Positions in errors count from the block.
func checkConfig(s snippet) error {
	config, err := framework.ParseConfig(s.String(), []byte(s.Text))
	if err != nil {
		return err
	}
	return config.Validate()
}

// An unknown key and a value out of range are found out, with the block's place.
func TestBrokenConfigFails(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"queue: {}\n":                    "README.md:7",
		"worker: {concurrency: -1}\n":    "concurrency",
		"namespace: colony\nredis: {}\n": "",
	} {
		err := checkConfig(snippet{Page: "README.md", Line: 7, Text: text})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
