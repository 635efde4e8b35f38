package main

import (
	"os"
	"strings"
	"testing"
)

func TestHelpIsOfTheProgramOrOfASubcommand(t *testing.T) {
	for _, tt := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"the program", []string{"help"}, exitOK, "kinglet help [SUBCOMMAND]", ""},
		{"help itself", []string{"help", "help"}, exitOK, "kinglet help [SUBCOMMAND]", ""},
		{"a subcommand", []string{"help", "pods"}, exitOK, "usage: kinglet pods", ""},
		{"another", []string{"help", "doctor"}, exitOK, "-query-url", ""},
		{"none", []string{"help", "nosuch"}, exitUsage, "", `"nosuch" is no subcommand`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs strings.Builder
			code := run(t.Context(), tt.args, process{stdout: &out, stderr: &errs, getenv: os.LookupEnv})
			if code != tt.code || !strings.Contains(out.String(), tt.stdout) || !strings.Contains(errs.String(), tt.stderr) || (tt.stderr == "") != (errs.Len() == 0) {
				t.Errorf("exit %d\nstdout %s\nstderr %s\nwant %d, %q, %q", code, out.String(), errs.String(), tt.code, tt.stdout, tt.stderr)
			}
		})
	}
}
