package scrape

import (
	"net/url"
	"strings"

	prom "github.com/prometheus/common/model"
)

// Params gives query the parameters that relabeling of a target left. Before and
// after are the target's labels, __param_NAME among them; a parameter of
// several values has its first one changed. It reports whether any was.
func Params(query url.Values, before, after map[string]string) (changed bool) {
	for name, value := range after {
		param, ok := strings.CutPrefix(name, prom.ParamLabelPrefix)
		if !ok || before[name] == value {
			continue
		}
		changed = true
		if len(query[param]) == 0 {
			query[param] = []string{""}
		}
		query[param][0] = value
	}
	return changed
}
