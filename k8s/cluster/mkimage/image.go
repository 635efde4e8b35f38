package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"strings"
	"time"
)

// Media types of the parts of an image, from the OCI image specification.
const (
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

// descriptor points at a part by its content.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// write makes the image of that name from SRC:DST pairs and writes it to out.
func write(out, name string, config imageConfig, pairs []string) error {
	l, err := newLayer(pairs)
	if err != nil {
		return err
	}
	content, err := l.tar()
	if err != nil {
		return err
	}
	config.WorkingDir = "/"
	created := epoch.Format(time.RFC3339)
	settings, err := json.Marshal(map[string]any{
		"created":      created,
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       config,
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{digest(content)}},
		"history":      []any{map[string]any{"created": created, "created_by": "mkimage"}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        describe(configType, settings),
		"layers":        []descriptor{describe(layerType, content)},
	})
	if err != nil {
		return err
	}
	top := describe(manifestType, manifest)
	top.Annotations = map[string]string{"io.containerd.image.name": name}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{top}})
	if err != nil {
		return err
	}
	return writeLayout(out, index, manifest, settings, content)
}

// writeLayout writes the parts as an OCI layout in a tar file.
func writeLayout(out string, index []byte, parts ...[]byte) (err error) {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	add := func(name string, content []byte) error {
		header := tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: epoch, Format: tar.FormatPAX}
		if err := w.WriteHeader(&header); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	if err := add("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	if err := add("index.json", index); err != nil {
		return err
	}
	for _, part := range parts {
		if err := add("blobs/sha256/"+strings.TrimPrefix(digest(part), "sha256:"), part); err != nil {
			return err
		}
	}
	return w.Close()
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func describe(mediaType string, content []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digest(content), Size: int64(len(content))}
}
