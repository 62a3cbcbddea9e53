package command

import (
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// bar shows how much of a file was enqueued. A nil bar shows nothing.
type bar struct{ *progressbar.ProgressBar }

// newBar returns a bar where somebody watches standard error and the ids go
// elsewhere. It has no colours, so NO_COLOR is honoured as it is.
func newBar(c *cli.Context, file io.Reader) *bar {
	if c.Bool("quiet") || !isTerminal(c.App.ErrWriter) || isTerminal(c.App.Writer) {
		return nil
	}
	size := int64(-1) // unknown: a spinner
	if f, ok := file.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
	}
	return &bar{progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(c.App.ErrWriter),
		progressbar.OptionSetDescription("enqueueing"),
		progressbar.OptionShowBytes(true),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
	)}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// What goes wrong with a bar is not worth a word.

func (b *bar) set(n int64) {
	if b != nil {
		_ = b.Set64(n)
	}
}

func (b *bar) clear() {
	if b != nil {
		_ = b.Clear()
	}
}

func (b *bar) finish() {
	if b != nil {
		_ = b.Finish()
	}
}
