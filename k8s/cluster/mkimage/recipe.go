package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// imageConfig is what an image says about how it is run.
type imageConfig struct {
	User       string   `json:"User,omitempty"` // uid or uid:gid; "" is root
	Env        []string `json:"Env,omitempty"`  // NAME=value
	Entrypoint []string `json:"Entrypoint"`
	WorkingDir string   `json:"WorkingDir,omitempty"`
}

// recipe is a Dockerfile of two stages: one that runs commands which fill the
// folder /image, one from scratch that is that folder.
type recipe struct {
	folder string   // the Dockerfile's
	args   []string // NAME=value, for the commands
	runs   []string // shell commands of the first stage
	config imageConfig
}

// buildMount is an option of RUN that keeps caches; commands run here have the
// caches of whoever runs them.
var buildMount = regexp.MustCompile(`--mount=type=cache,\S+\s+`)

// readRecipe reads a Dockerfile and refuses one that says more than this
// program does.
func readRecipe(file string) (*recipe, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	r := &recipe{folder: folder}
	stage := 0
	for _, line := range instructions(string(text)) {
		word, rest, _ := strings.Cut(line, " ")
		if word == "FROM" {
			stage++
		}
		known := false
		switch stage {
		case 1:
			known = r.builds(word, rest)
		case 2:
			known = r.ships(word, rest)
		}
		if !known {
			return nil, fmt.Errorf("%s: stage %d has %q, which mkimage does not know how to follow", file, stage, line)
		}
	}
	if stage != 2 || len(r.runs) == 0 || len(r.config.Entrypoint) == 0 {
		return nil, fmt.Errorf("%s: want a stage that runs something and one with an entry point", file)
	}
	return r, nil
}

// builds takes an instruction of the first stage and reports whether it is one
// that needs nothing more.
func (r *recipe) builds(word, rest string) bool {
	switch word {
	case "FROM", "WORKDIR": // the toolchain and the sources are here
		return true
	case "COPY":
		return rest == ". ."
	case "ARG":
		for arg := range strings.FieldsSeq(rest) {
			if name, value, ok := strings.Cut(arg, "="); ok && os.Getenv(name) == "" {
				r.args = append(r.args, name+"="+value)
			}
		}
		return true
	case "RUN":
		r.runs = append(r.runs, buildMount.ReplaceAllString(rest, ""))
		return !strings.HasPrefix(r.runs[len(r.runs)-1], "--")
	}
	return false
}

// ships takes an instruction of the last stage.
func (r *recipe) ships(word, rest string) bool {
	switch word {
	case "FROM":
		return rest == "scratch"
	case "COPY":
		return rest == "--from=build /image/ /"
	case "ENV":
		r.config.Env = append(r.config.Env, rest)
		return strings.Contains(rest, "=") && !strings.ContainsAny(rest, " \"'\\")
	case "USER":
		r.config.User = rest
		return true
	case "ENTRYPOINT":
		return json.Unmarshal([]byte(rest), &r.config.Entrypoint) == nil
	}
	return false
}

// build fills root as the first stage fills /image.
func (r *recipe) build(ctx context.Context, root string) error {
	for _, command := range r.runs {
		cmd := exec.CommandContext(ctx, "sh", "-ec", strings.ReplaceAll(command, "/image", root))
		cmd.Dir, cmd.Env = r.folder, append(os.Environ(), r.args...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("run the Dockerfile's %.40q...: %w", command, err)
		}
	}
	return nil
}

// instructions are the lines of a Dockerfile, comments and line breaks undone.
func instructions(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Split(strings.ReplaceAll(strings.Join(lines, "\n"), "\\\n", ""), "\n")
}
