package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// writeFiles writes a tree below a new folder, by path.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// untar is the content of a tar file by name; folders end in a slash, a link's
// content is "-> " and where it leads.
func untar(t *testing.T, content []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(text)
		if header.Typeflag == tar.TypeSymlink {
			files[header.Name] = "-> " + header.Linkname
		}
	}
}

// image is an image read back: its settings and the files of its layer.
func image(t *testing.T, file string) (imageConfig, map[string]string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	layout := untar(t, content)
	part := func(digest string) string { return layout["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")] }
	var index struct{ Manifests []descriptor }
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	var settings struct{ Config imageConfig }
	decode := func(text string, into any) {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	}
	decode(layout["index.json"], &index)
	decode(part(index.Manifests[0].Digest), &manifest)
	decode(part(manifest.Config.Digest), &settings)
	return settings.Config, untar(t, []byte(part(manifest.Layers[0].Digest)))
}

func TestImageOfFiles(t *testing.T) {
	root := writeFiles(t, map[string]string{"app": "binary", "conf/a/b.toml": "b"})
	if err := os.Symlink("/app", filepath.Join(root, "conf", "link")); err != nil {
		t.Fatal(err)
	}
	var outs []string
	for _, name := range []string{"1.tar", "2.tar"} {
		outs = append(outs, filepath.Join(t.TempDir(), name))
		err := run(t.Context(), []string{
			"-name", "localhost/app:dev", "-out", outs[len(outs)-1], "-entrypoint", "/bin/app -x", "-user", "1:2",
			root + "/app:/bin/app", root + "/conf:/etc/conf",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	config, files := image(t, outs[0])
	if diff := cmp.Diff(imageConfig{User: "1:2", Entrypoint: []string{"/bin/app", "-x"}, WorkingDir: "/"}, config); diff != "" {
		t.Error(diff)
	}
	want := map[string]string{
		"bin/": "", "bin/app": "binary", "etc/": "", "etc/conf/": "", "etc/conf/a/": "", "etc/conf/a/b.toml": "b", "etc/conf/link": "-> /app",
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Error(diff)
	}
	first, _ := os.ReadFile(outs[0])
	second, _ := os.ReadFile(outs[1])
	if !bytes.Equal(first, second) {
		t.Error("the same input gave other bytes")
	}
}

// TestImageOfTheDockerfile follows kinglet's own Dockerfile with a toolchain
// that only pretends, and finds what the DaemonSet counts on.
func TestImageOfTheDockerfile(t *testing.T) {
	if _, err := os.Stat("/etc/ssl/certs/ca-certificates.crt"); err != nil {
		t.Skip("this machine has no certificates to put into the image:", err)
	}
	pretend := writeFiles(t, map[string]string{
		"lib/time/zoneinfo.zip": "zones",
		"go": `#!/bin/sh
if [ "$1" = env ]; then dirname "$0"; exit; fi
while [ "$1" != -o ]; do shift; done
echo "CGO_ENABLED=$CGO_ENABLED VERSION=$VERSION $3" > "$2"
`,
	})
	t.Setenv("PATH", pretend+":"+os.Getenv("PATH"))
	out := filepath.Join(t.TempDir(), "kinglet.tar")
	if err := run(t.Context(), []string{"-name", "kinglet:dev", "-out", out, "-dockerfile", "../../../Dockerfile"}); err != nil {
		t.Fatal(err)
	}
	config, files := image(t, out)
	want := imageConfig{User: "65532:65532", Env: []string{"ZONEINFO=/zoneinfo.zip"}, Entrypoint: []string{"/kinglet"}, WorkingDir: "/"}
	if diff := cmp.Diff(want, config); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(files["etc/ssl/certs/ca-certificates.crt"], "-----BEGIN") {
		t.Error("no certificates to trust")
	}
	files["etc/ssl/certs/ca-certificates.crt"] = "certificates"
	wantFiles := map[string]string{
		"kinglet": "CGO_ENABLED=0 VERSION=dev ./cmd/kinglet\n", "zoneinfo.zip": "zones", "usr/": "", "usr/bin/": "", "usr/bin/categraf": "-> /kinglet",
		"etc/": "", "etc/ssl/": "", "etc/ssl/certs/": "", "etc/ssl/certs/ca-certificates.crt": "certificates",
	}
	if diff := cmp.Diff(wantFiles, files); diff != "" {
		t.Error(diff)
	}
}

func TestDockerfileIsFollowedOrRefused(t *testing.T) {
	const sound = "FROM golang AS build\nARG VERSION=dev X\nWORKDIR /src\nCOPY . .\nRUN --mount=type=cache,target=/a make && \\\n  cp a /image/\n" +
		"FROM scratch\nCOPY --from=build /image/ /\nENTRYPOINT [\"/a\"]\n"
	for _, tt := range []struct {
		name, old, replaced string
		want                string // the error holds it; "" for none
	}{
		{"as it is", "", "", ""},
		{"another copy", "COPY . .", "COPY a /b", `stage 1 has "COPY a /b"`},
		{"another base", "FROM scratch", "FROM alpine", `stage 2 has "FROM alpine"`},
		{"a third stage", "ENTRYPOINT", "FROM x\nENTRYPOINT", `stage 3 has "FROM x"`},
		{"an unknown instruction", "ENTRYPOINT", "VOLUME /x\nENTRYPOINT", `stage 2 has "VOLUME /x"`},
		{"an unknown option", "--mount=type=cache", "--mount=type=secret", "does not know how to follow"},
		{"a command that runs as root in the last stage", "ENTRYPOINT", "RUN x\nENTRYPOINT", `stage 2 has "RUN x"`},
		{"environment that is quoted", "ENTRYPOINT", "ENV A=\"b c\"\nENTRYPOINT", "does not know how to follow"},
		{"no entry point", "ENTRYPOINT [\"/a\"]\n", "", "one with an entry point"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(writeFiles(t, map[string]string{"Dockerfile": strings.Replace(sound, tt.old, tt.replaced, 1)}), "Dockerfile")
			recipe, err := readRecipe(file)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("got %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(recipe.runs, []string{"make && cp a /image/"}) {
				t.Errorf("runs %q", recipe.runs)
			}
			if !slices.Equal(recipe.args, []string{"VERSION=dev"}) {
				t.Errorf("args %q", recipe.args)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-name", "a", "-out", "b"},
		{"-name", "a", "-out", "b", "-entrypoint", "/a"},
		{"-name", "a", "-out", "b", "-entrypoint", "/a", "-dockerfile", "D", "x:/y"},
		{"-name", "a", "-out", "b", "-dockerfile", "D", "x:/y"},
		{"-out", "b", "-entrypoint", "/a", "x:/y"},
	} {
		if err := run(t.Context(), args); err == nil || !strings.HasPrefix(err.Error(), "usage: ") {
			t.Errorf("%q: got %v", args, err)
		}
	}
}
