package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rulesThereAre is the number of the last rule.
const rulesThereAre = 159

var (
	tableRow = regexp.MustCompile(`(?m)^\| (RW-\d+) \| (.*) \| (.*) \|$`)
	// proof is `folder: TestName`, or `folder: TestName/RW-nn` for a case.
	proof = regexp.MustCompile("`([a-z0-9/]+): (Test\\w+)(?:/(RW-\\d+))?`")
)

// TestEveryRuleHasItsProof compares docs/conformance.md with the tree: each
// rule stands there once, with a test that exists or with a reason.
func TestEveryRuleHasItsProof(t *testing.T) {
	page, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, row := range tableRow.FindAllStringSubmatch(string(page), -1) {
		rule, claim, cell := row[1], row[2], row[3]
		rows[rule]++
		if strings.TrimSpace(claim) == "" {
			t.Errorf("%s has no claim", rule)
		}
		if reason, ok := strings.CutPrefix(cell, "decided otherwise: "); ok && reason != "" {
			continue
		}
		proofs := proof.FindAllStringSubmatch(cell, -1)
		if len(proofs) == 0 {
			t.Errorf("%s: %q names no test and no reason (decided otherwise: ...)", rule, cell)
		}
		for _, p := range proofs {
			if p[3] != "" && p[3] != rule {
				t.Errorf("%s: the proof is a case of %s", rule, p[3])
			}
			if err := testExists(p[1], p[2], p[3]); err != nil {
				t.Errorf("%s: %v", rule, err)
			}
		}
	}
	for n := 1; n <= rulesThereAre; n++ {
		rule := fmt.Sprintf("RW-%02d", n)
		if rows[rule] != 1 {
			t.Errorf("%s stands %d times in docs/conformance.md, want once", rule, rows[rule])
		}
	}
	if len(rows) != rulesThereAre {
		t.Errorf("docs/conformance.md has %d rules, want %d", len(rows), rulesThereAre)
	}
}

// testExists looks for a test function in the test files of a folder, build
// tags or not, and for a case of the rule in the file that declares it.
func testExists(folder, name, rule string) error {
	files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		if !declares(parsed, name) {
			continue
		}
		if rule != "" && !hasCase(parsed, rule) {
			return fmt.Errorf("%s of %s has no case of the rule", name, file)
		}
		return nil
	}
	return fmt.Errorf("there is no %s in %s", name, folder)
}

func declares(file *ast.File, name string) bool {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == name {
			return true
		}
	}
	return false
}

// hasCase reports whether a call in the file takes the rule as an argument.
func hasCase(file *ast.File, rule string) bool {
	found := false
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			for _, arg := range call.Args {
				lit, ok := arg.(*ast.BasicLit)
				found = found || ok && lit.Value == `"`+rule+`"`
			}
		}
		return !found
	})
	return found
}
