package conf

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected findings in testdata")

// onNode1 are the options of every test: no test looks at its own host.
func onNode1() Options {
	env := map[string]string{"HOSTNAME": "node1", "HOSTIP": "10.0.0.7", "EMPTY": "", "QUOTED": `a"b\c$HOSTNAME`}
	return Options{
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Hostname:  func() (string, error) { return "os-name", nil },
	}
}

// TestTrees reads every tree of testdata: a good one loads, with the findings
// in NAME.good.want; of a bad one Check says what is in NAME.bad.want.
func TestTrees(t *testing.T) {
	trees, _ := filepath.Glob("testdata/*.*d")
	if len(trees) < 10 {
		t.Fatalf("only %d trees", len(trees))
	}
	for _, tree := range trees {
		t.Run(filepath.Base(tree), func(t *testing.T) {
			var findings Findings
			if strings.HasSuffix(tree, ".good") {
				var err error
				if _, findings, err = Load(tree, onNode1()); err != nil || findings.Errors() > 0 {
					t.Fatalf("Load: %v\n%v", err, findings)
				}
			} else if findings = Check(tree, onNode1()); findings.Errors() == 0 {
				t.Errorf("Check found no error in %v", findings)
			}
			var got bytes.Buffer
			if err := findings.Write(&got); err != nil {
				t.Fatal(err)
			}
			checkGolden(t, tree+".want", got.Bytes())
			for _, secret := range []string{"hunter2", "s3cr3t", "12345"} {
				if strings.Contains(got.String(), secret) {
					t.Errorf("a secret shows in:\n%s", got.String())
				}
			}
		})
	}
}

func checkGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
