package doctor_test

import (
	"os"
	"testing"

	"github.com/colonyq/colony/internal/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }
