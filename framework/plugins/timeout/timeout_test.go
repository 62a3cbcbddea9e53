package timeout

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colonyq/colony/framework"
)

// A run that outlasts `after` sees its context end then, with cause ErrTimeout.
func TestRunEndsAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Timeout{After: time.Minute}
		start := time.Now()
		h := p.Middleware()[0](func(ctx context.Context, _ *framework.Delivery) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
		err := h(t.Context(), &framework.Delivery{Kind: "k"})
		if !errors.Is(err, framework.ErrTimeout) {
			t.Errorf("cause is %v, want ErrTimeout", err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("ended after %s, want 1m", took)
		}
	})
}

// A timeout that cannot work is refused before the worker starts, by field name.
func TestValidate(t *testing.T) {
	for _, after := range []time.Duration{0, -time.Second} {
		err := (&Timeout{After: after}).Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "after: ") {
			t.Errorf("after %s: got %v, want an error that names the field", after, err)
		}
	}
	if err := (&Timeout{After: 1}).Validate(); err != nil {
		t.Error(err)
	}
}
