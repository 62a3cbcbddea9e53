package framework

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

type email struct {
	To string `json:"to"`
}

// capture is an Enqueuer that keeps what it is given.
type capture struct{ jobs []NewJob }

func (c *capture) Enqueue(_ context.Context, jobs ...NewJob) ([]string, error) {
	c.jobs = append(c.jobs, jobs...)
	return make([]string, len(jobs)), nil
}

// The call's options override the kind's, the last one counts, headers add up,
// and the kind itself is not changed by a call.
func TestJobOptions(t *testing.T) {
	at := time.UnixMilli(1_900_000_000_000)
	kind := DefineKind[email]("email.send",
		Queue("emails"), MaxAttempts(5), Timeout(time.Minute), In(time.Hour), Header("a", "1"))
	var c capture
	for _, opts := range [][]JobOption{
		nil,
		{Queue("slow"), MaxAttempts(1), Timeout(time.Second), At(at), Headers(map[string]string{"a": "2", "b": "3"})},
		{At(at), In(0)},
	} {
		if _, err := kind.Enqueue(t.Context(), &c, email{"ada"}, opts...); err != nil {
			t.Fatal(err)
		}
	}
	want := []NewJob{
		{kind: "email.send", queue: "emails", maxAttempts: 5, timeout: time.Minute, in: time.Hour, headers: map[string]string{"a": "1"}},
		{kind: "email.send", queue: "slow", maxAttempts: 1, timeout: time.Second, at: at, headers: map[string]string{"a": "2", "b": "3"}},
		{kind: "email.send", queue: "emails", maxAttempts: 5, timeout: time.Minute, headers: map[string]string{"a": "1"}},
	}
	for i := range want {
		want[i].payload = []byte(`{"to":"ada"}`)
		if !reflect.DeepEqual(c.jobs[i], want[i]) {
			t.Errorf("job %d: got %+v, want %+v", i, c.jobs[i], want[i])
		}
	}
	if q := DefineKind[int]("k").New(1).Queue(); q != DefaultQueue {
		t.Errorf("a job without a queue goes to %q", q)
	}
}

// A wrong value is an error of the job that says what is wrong, all at once, and
// never a panic or a job that lies in Redis unreadable.
func TestWrongOptions(t *testing.T) {
	kind := DefineKind[any]("k")
	for name, c := range map[string]struct {
		job  NewJob
		want []string
	}{
		"several": {
			kind.New(1, Queue("a b"), MaxAttempts(0), Timeout(time.Microsecond), In(-1), Header("", "x")),
			[]string{"queue: ", "max attempts: must be at least 1, got 0", "timeout: must be at least 1ms", "in: must not be negative", "headers: "},
		},
		"zero time":       {kind.New(1, At(time.Time{})), []string{"at: is the zero time"}},
		"payload":         {kind.New(func() {}), []string{"payload: json: unsupported type"}},
		"header bytes":    {kind.New(1, Header("a", "\xff")), []string{"UTF-8"}},
		"kind":            {NewRaw("a b", nil), []string{"kind: "}},
		"not JSON":        {NewRaw("k", []byte("{")), []string{"payload: is not valid JSON"}},
		"bytes, not JSON": {DefineKind[[]byte]("k", ContentType("application/json")).New([]byte("{")), []string{"payload: is not valid JSON"}},
		"typed content":   {kind.New(1, ContentType("text/plain")), []string{"content type text/plain: only a []byte payload"}},
		"content type":    {NewRaw("k", nil, ContentType("ä")), []string{"content_type: "}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.job.Err()
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want it to say %q", err, want)
				}
			}
		})
	}
	defer func() {
		if r := fmt.Sprint(recover()); !strings.Contains(r, "framework.DefineKind") {
			t.Errorf("DefineKind with a bad name: %s", r)
		}
	}()
	DefineKind[int]("no name")
}

// What one side encodes the other decodes, for each sort of payload.
func TestPayloads(t *testing.T) {
	roundTrip(t, email{"ä <b> & \u2028"}, "")
	roundTrip(t, 12345678901234567, "")
	roundTrip(t, "text", "")
	roundTrip(t, []string{}, "")
	roundTrip(t, map[string]any{"a": []any{}}, "")
	roundTrip(t, json.RawMessage(`{"big":12345678901234567890,"empty":[]}`), "")
	roundTrip(t, []byte{0, 255, '"'}, OctetStream)
	roundTrip(t, []byte("GIF"), "image/gif", ContentType("image/gif"))
	roundTrip(t, []byte(`{"a":1}`), "", ContentType("application/json"))
	roundTrip(t, (*email)(nil), "")
}

func roundTrip[T any](t *testing.T, payload T, contentType string, opts ...JobOption) {
	t.Helper()
	kind := DefineKind[T]("k")
	d, err := kind.New(payload, opts...).Delivery()
	if err != nil {
		t.Errorf("%v: %v", payload, err)
		return
	}
	var got T
	o := Execute(t.Context(), kind.Handler(func(_ context.Context, j *Job[T]) error { got = j.Payload; return nil }), d)
	if o.Verdict != Done || !reflect.DeepEqual(got, payload) || d.ContentType != contentType {
		t.Errorf("%v of type %q arrived as %v of type %q, %v %v", payload, contentType, got, d.ContentType, o, o.Err)
	}
}

// A payload that does not decode is dead at once, with the reason rejected, and
// the handler is not called.
func TestRejected(t *testing.T) {
	kind := DefineKind[email]("k")
	h := kind.Handler(func(context.Context, *Job[email]) error {
		t.Error("the handler was called")
		return nil
	})
	for name, j := range map[string]NewJob{
		"another shape": NewRaw("k", []byte(`{"to":1}`)),
		"bytes":         NewRaw("k", []byte("x"), ContentType("text/plain")),
	} {
		d, err := j.Delivery()
		if err != nil {
			t.Fatal(err)
		}
		if o := Execute(t.Context(), h, d); o.Verdict != Buried || o.Reason != reasonRejected || o.Err == nil {
			t.Errorf("%s: got %v with %v", name, o, o.Err)
		}
	}
}

// The first middleware is the outermost.
func TestWrap(t *testing.T) {
	var calls []string
	named := func(name string) Middleware {
		return func(next Handler) Handler {
			return func(ctx context.Context, d *Delivery) error {
				calls = append(calls, name)
				return next(ctx, d)
			}
		}
	}
	h := wrap(func(context.Context, *Delivery) error { calls = append(calls, "handler"); return nil }, []Middleware{named("a"), named("b")})
	if err := h(t.Context(), nil); err != nil || !slices.Equal(calls, []string{"a", "b", "handler"}) {
		t.Errorf("called %v, %v", calls, err)
	}
}

// An EnqueueError names the failed jobs, a few of them in its text, and can be
// asked for each one's error.
func TestEnqueueError(t *testing.T) {
	e := &EnqueueError{Jobs: 9}
	for i := range 5 {
		e.Failed = append(e.Failed, FailedJob{Index: i, Kind: "k", Err: fmt.Errorf("no %d: %w", i, ErrClosed)})
	}
	const want = "5 of 9 jobs were not enqueued; job 0 (k): no 0: producer is closed; job 1 (k): no 1: producer is closed; " +
		"job 2 (k): no 2: producer is closed; and 2 more"
	if e.Error() != want || !errors.Is(e, ErrClosed) || errors.Is(e, ErrUnknownOutcome) {
		t.Errorf("got %v", e)
	}
}
