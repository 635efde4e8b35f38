package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"gopkg.in/natefinch/lumberjack.v2"

	"kinglet/conf"
)

// openLog makes the logger that [log] describes. The closer ends the log file,
// if there is one. forceTo, if set, takes the place of file_name: a dry run
// keeps stdout for samples.
func openLog(c conf.Log, debug bool, p process, forceTo io.Writer) (*slog.Logger, io.Closer, error) {
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, nil, fmt.Errorf("[log] level = %q: want debug, info, warn or error", c.Level)
	}
	if debug {
		level = slog.LevelDebug
	}
	out, closer := forceTo, io.Closer(noCloser{})
	switch {
	case out != nil:
	case c.FileName == "" || c.FileName == "stdout":
		out = p.stdout
	case c.FileName == "stderr":
		out = p.stderr
	default:
		// Opened once by hand, so that a path that cannot be written is said
		// at the start and not swallowed at the first line.
		f, err := os.OpenFile(c.FileName, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, nil, fmt.Errorf("open the log: %w; change [log] file_name, or use \"stdout\"", err)
		}
		_ = f.Close() // nothing was written
		rotated := &lumberjack.Logger{
			Filename: c.FileName, MaxSize: c.MaxSizeMB, MaxAge: c.MaxAgeDays,
			MaxBackups: c.MaxBackups, LocalTime: c.LocalTime, Compress: c.Compress,
		}
		out, closer = rotated, rotated
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, o)), closer, nil
	}
	return slog.New(slog.NewTextHandler(out, o)), closer, nil
}

type noCloser struct{}

func (noCloser) Close() error { return nil }
