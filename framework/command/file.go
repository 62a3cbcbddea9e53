package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/colonyq/colony/framework"
)

// A chunk is what is read before it is sent, so that a file of any size goes
// through in little memory and few round trips.
const (
	chunkJobs  = 1000
	chunkBytes = 1 << 20
)

// fileRun is one --file on its way.
type fileRun struct {
	name     string
	lines    *lineReader
	defaults []framework.JobOption
	skip     bool
	to       framework.Enqueuer
	print    *printer
	out      *bufio.Writer
	errOut   io.Writer
	bar      *bar

	jobs     []framework.NewJob
	numbers  []int // of the lines that the jobs stand on
	size     int
	enqueued int
	skipped  int
}

func enqueueFile(c *cli.Context) error {
	f, file, err := newFileRun(c)
	if err != nil {
		return err
	}
	defer file.Close()
	return withProducer(c, func(p *framework.Producer) error {
		f.to = p
		f.bar = newBar(c, file)
		defer f.bar.finish()
		return f.run(c.Context)
	})
}

func newFileRun(c *cli.Context) (*fileRun, io.ReadCloser, error) {
	print, err := newPrinter(c)
	if err != nil {
		return nil, nil, err
	}
	onError, err := oneOf(c, "on-error", "stop", "skip")
	if err != nil {
		return nil, nil, err
	}
	switch {
	case c.NArg() > 0:
		return nil, nil, usagef("--file takes kinds and payloads from the file: leave out %q", c.Args().First())
	case c.IsSet("content-type"):
		return nil, nil, usagef("--content-type does not go with --file: payloads in a file are JSON")
	}
	defaults, err := jobFlags(c)
	if err == nil {
		err = asUsage(framework.NewRaw("any", nil, defaults...).Err())
	}
	if err != nil {
		return nil, nil, err
	}
	name, file, err := openFile(c)
	if err != nil {
		return nil, nil, err
	}
	f := &fileRun{name: name, defaults: defaults, skip: onError == "skip", errOut: c.App.ErrWriter}
	f.lines = newLineReader(reading(c.Context, file))
	f.out = bufio.NewWriter(print.out)
	f.print = &printer{f.out, print.asJSON}
	return f, file, nil
}

func openFile(c *cli.Context) (name string, file io.ReadCloser, err error) {
	if name = c.String("file"); name == "-" {
		return "standard input", io.NopCloser(c.App.Reader), nil
	}
	file, err = os.Open(name)
	return name, file, err
}

// run enqueues all lines. What it says at the end counts both sides, so that
// nobody has to guess what a failed run left behind.
func (f *fileRun) run(ctx context.Context) error {
	err := f.readAll(ctx)
	bad := errors.As(err, new(*lineProblem))
	if err == nil || bad {
		err = errors.Join(err, f.send(ctx)) // what came before a bad line is good
	}
	f.bar.finish()
	switch {
	case bad:
		return fmt.Errorf("%w\n%d jobs were enqueued, all from before line %d", err, f.enqueued, f.lines.number)
	case err != nil:
		return fmt.Errorf("%w\n%d jobs were enqueued, up to line %d", err, f.enqueued, f.lines.number)
	case f.skipped > 0:
		return fmt.Errorf("%s: %d lines were skipped, %d jobs were enqueued", f.name, f.skipped, f.enqueued)
	}
	return nil
}

// lineProblem is a line that is no job.
type lineProblem struct{ err error }

func (e *lineProblem) Error() string { return e.err.Error() }
func (e *lineProblem) Unwrap() error { return e.err }

func (f *fileRun) readAll(ctx context.Context) error {
	for {
		if err := stopped(ctx); err != nil {
			return err
		}
		line, err := f.lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err == nil:
			err = f.add(line)
		case !errors.Is(err, errLineTooLong):
			return fmt.Errorf("read %s: %w", f.name, err)
		}
		if err != nil {
			if err := f.bad(err); err != nil {
				return err
			}
		}
		if len(f.jobs) == chunkJobs || f.size >= chunkBytes {
			if err := f.send(ctx); err != nil {
				return err
			}
		}
	}
}

func (f *fileRun) add(line []byte) error {
	job, err := parseLine(line, f.defaults)
	if err != nil {
		return err
	}
	f.jobs = append(f.jobs, job)
	f.numbers = append(f.numbers, f.lines.number)
	f.size += len(line)
	return nil
}

// bad tells of a line that is no job and goes on, or stops there.
func (f *fileRun) bad(err error) error {
	err = fmt.Errorf("%s:%d: %w", f.name, f.lines.number, err)
	if !f.skip {
		return &lineProblem{fmt.Errorf("%w (--on-error skip goes on)", err)}
	}
	f.skipped++
	f.bar.clear()
	_, err = fmt.Fprintln(f.errOut, err)
	return err
}

// send enqueues the chunk and prints the ids of what was accepted.
func (f *fileRun) send(ctx context.Context) error {
	if len(f.jobs) == 0 {
		return nil
	}
	ids, err := f.to.Enqueue(ctx, f.jobs...)
	failed := failedIndexes(err)
	var printed error
	for i, id := range ids {
		if id == "" || failed[i] {
			continue
		}
		f.enqueued++
		printed = errors.Join(printed, f.print.job(id, f.jobs[i]))
	}
	printed = errors.Join(printed, f.out.Flush())
	if err != nil {
		err = explain(err, func(i int) string { return fmt.Sprintf("%s:%d: ", f.name, f.numbers[i]) })
	}
	f.jobs, f.numbers, f.size = f.jobs[:0], f.numbers[:0], 0
	f.bar.set(f.lines.bytes)
	return errors.Join(err, printed)
}

func failedIndexes(err error) map[int]bool {
	failed := map[int]bool{}
	var many *framework.EnqueueError
	if errors.As(err, &many) {
		for _, j := range many.Failed {
			failed[j.Index] = true
		}
	}
	return failed
}
