package doctor

import (
	"encoding/json"
	"fmt"
	"io"
)

// Text writes reports for people, a line for each check: grade, name, detail.
func Text(w io.Writer, reports []Report) error {
	for i, r := range reports {
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintf(w, "%s  %s\n", r.Of, r.URL); err != nil {
			return err
		}
		for _, c := range r.Checks {
			if _, err := fmt.Fprintf(w, "%-5s %-12s %s\n", c.Grade, c.Name, c.Detail); err != nil {
				return err
			}
		}
	}
	return nil
}

// JSON writes reports for programs, as one array.
func JSON(w io.Writer, reports []Report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(reports)
}
