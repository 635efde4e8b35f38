package relabel

// Rule is one Prometheus relabeling rule as written in TOML. A nil pointer
// means "not written", which takes the default; an empty string is a value.
type Rule struct {
	SourceLabels []string `toml:"source_labels"`
	Separator    *string  `toml:"separator"`    // ";"
	Regex        *string  `toml:"regex"`        // "(.*)", RE2, anchored at both ends
	Modulus      uint64   `toml:"modulus"`      // hashmod only
	TargetLabel  string   `toml:"target_label"` //
	Replacement  *string  `toml:"replacement"`  // "$1"
	Action       string   `toml:"action"`       // "replace"; case does not matter
}
