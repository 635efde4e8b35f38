package main

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

// helm lints the chart and is what `helm template kinglet CHART -n kinglet -f
// VALUES` would print.
func helm(folder, valuesFile string) ([]byte, error) {
	text, err := os.ReadFile(valuesFile)
	if err != nil {
		return nil, err
	}
	values, err := loader.LoadValues(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	for _, message := range lint.RunAll(folder, values, "kinglet").Messages {
		if message.Severity > support.InfoSev {
			return nil, fmt.Errorf("lint: %s: %w", message.Path, message.Err)
		}
	}
	chart, err := loader.LoadDir(folder)
	if err != nil {
		return nil, err
	}
	release := common.ReleaseOptions{Name: "kinglet", Namespace: "kinglet", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(chart, values, release, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	made, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	var files []string
	for file := range made {
		if path.Ext(file) == ".yaml" && strings.TrimSpace(made[file]) != "" {
			files = append(files, file)
		}
	}
	slices.Sort(files)
	var out bytes.Buffer
	for _, file := range files {
		fmt.Fprintf(&out, "---\n# %s\n%s\n", path.Base(file), strings.TrimSpace(made[file]))
	}
	return out.Bytes(), nil
}
