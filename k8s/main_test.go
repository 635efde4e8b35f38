package k8s

import (
	"io"
	"log"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// discardLog is for servers of tests that refuse on purpose.
func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
