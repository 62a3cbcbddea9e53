package wire

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Every entry that docs/wire-format.md shows can be read; those shown as JSON
// are canonical, byte for byte.
func TestDocsEntries(t *testing.T) {
	doc := readDoc(t)
	pushed := regexp.MustCompile(`RPUSH '[^']+' '([^']+)'`).FindAllStringSubmatch(doc, -1)
	if len(pushed) == 0 {
		t.Error("no RPUSH example")
	}
	for _, m := range pushed {
		if e, err := Parse([]byte(m[1])); err != nil || e.ID != "" || e.Validate() != nil {
			t.Errorf("%s: %+v, %v", m[1], e, err)
		}
	}
	shown := 0
	for _, block := range codeBlocks(doc, "json") {
		for line := range strings.Lines(block) {
			line = strings.TrimSpace(line)
			e, err := Parse([]byte(line))
			if err != nil || string(e.Append(nil)) != line {
				t.Errorf("%s\nis read as %+v, %v\nand written as %s", line, e, err, e.Append(nil))
			}
			shown++
		}
	}
	if shown != 3 {
		t.Errorf("%d entries shown as JSON, want 3", shown)
	}
}

// Every member that this version knows has its row in the table, and no other.
func TestDocsTable(t *testing.T) {
	_, table, _ := strings.Cut(readDoc(t), "| member |")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(table, -1)
	for _, row := range rows {
		if memberOf([]byte(row[1])) == unknown {
			t.Errorf("%s has a row and is not known", row[1])
		}
	}
	if len(rows) != int(mErrors) {
		t.Errorf("%d rows, %d members", len(rows), mErrors)
	}
}

// What the producer in Python writes is read as it was meant.
func TestDocsPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	script := codeBlocks(readDoc(t), "python")[0] + `
print(entry("email.send", {"to": "日本 \"🐜\""}, max_attempts=5, timeout=30_000, headers={"é": "1"}))
print(entry("image.scale", b"\xff\xfb\xef", "image/png"))
`
	out, err := exec.CommandContext(t.Context(), python, "-c", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	mail, image, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	e := mustParse(t, mail)
	if e.Kind != "email.send" || e.MaxAttempts != 5 || e.Timeout != 30*time.Second || e.Headers["é"] != "1" ||
		time.Since(IDTime(e.ID)).Abs() > time.Hour || string(e.Payload) != `{"to": "\u65e5\u672c \"\ud83d\udc1c\""}` {
		t.Errorf("%s is read as %+v", mail, e)
	}
	if e := mustParse(t, image); e.ContentType != "image/png" || string(e.Payload) != "\xff\xfb\xef" {
		t.Errorf("%s is read as %+v", image, e)
	}
}

func readDoc(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/wire-format.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// codeBlocks returns the fenced blocks of a language.
func codeBlocks(doc, language string) (blocks []string) {
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(doc, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}
