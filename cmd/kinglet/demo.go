package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// runDemo hands over to kinglet-demo, a program of its own: the database in it
// would be the larger part of the agent.
func runDemo(ctx context.Context, args []string, p process) int {
	path, err := exec.LookPath("kinglet-demo")
	if self, selfErr := os.Executable(); selfErr == nil {
		if beside := filepath.Join(filepath.Dir(self), "kinglet-demo"); isFile(beside) {
			path, err = beside, nil
		}
	}
	if err != nil {
		fmt.Fprintln(p.stderr, "kinglet: the demonstration is a program of its own, kinglet-demo, which is neither beside this one nor in PATH; run `make demo` in kinglet's repository")
		return exitFailure
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, p.stdout, p.stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		fmt.Fprintln(p.stderr, "kinglet: run the demonstration:", err)
		return exitFailure
	}
	return exitOK
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
