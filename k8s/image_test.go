package k8s_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// dockerfile is the Dockerfile's instructions, comments and line breaks undone.
func dockerfile(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Split(strings.ReplaceAll(strings.Join(lines, "\n"), "\\\n", ""), "\n")
}

func TestImageIsSmallStaticAndUnprivileged(t *testing.T) {
	instructions := dockerfile(t)
	last := -1
	for i, line := range instructions {
		if strings.HasPrefix(line, "FROM ") {
			last = i
		}
	}
	if last < 1 {
		t.Fatalf("want a stage that builds and one that ships: %q", instructions)
	}
	build, ship := strings.Join(instructions[:last], "\n"), strings.Join(instructions[last:], "\n")
	for _, want := range []string{
		`CGO_ENABLED=0 .*go build -trimpath .*-ldflags "-s -w -X main.version=\$VERSION" -o /image/kinglet ./cmd/kinglet`,
		`ca-certificates\.crt /image/etc/ssl/certs/`,
		`ln -s /kinglet /image/usr/bin/categraf`,
	} {
		if !regexp.MustCompile(want).MatchString(build) {
			t.Errorf("the build does not match %s:\n%s", want, build)
		}
	}
	for _, want := range []string{
		`^FROM scratch\n`, `\nCOPY --from=build /image/ /\n`, `\nUSER 65532:65532\n`, `\nENTRYPOINT \["/kinglet"\]$`,
	} {
		if !regexp.MustCompile(want).MatchString(ship) {
			t.Errorf("the image does not match %s:\n%s", want, ship)
		}
	}
	if strings.Contains(ship, "\nRUN ") || strings.Contains(build+ship, "/etc/kinglet/conf") {
		t.Errorf("the image runs something, or hides what is mounted at /etc/categraf/conf:\n%s", ship)
	}
}

func TestImageBuildsWithTheToolchainOfTheModule(t *testing.T) {
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(text)
	if version == nil {
		t.Fatal("go.mod names no version")
	}
	if from := dockerfile(t)[0]; !strings.Contains(from, " golang:"+string(version[1])+" AS build") {
		t.Errorf("%s: go.mod wants Go %s", from, version[1])
	}
}
