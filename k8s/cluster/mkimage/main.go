// Command mkimage makes a container image where there is no container engine:
// one layer, from scratch, as an OCI layout in a tar file that
// `ctr images import` takes. The same input gives the same bytes.
//
//	mkimage -name localhost/app:dev -out app.tar -entrypoint /app ./app:/app ./ca.pem:/etc/ca.pem
//	mkimage -name localhost/kinglet:dev -out kinglet.tar -dockerfile Dockerfile
//
// The first form puts files into an image; a folder goes in whole, links stay
// links. The second follows a Dockerfile: what its first stage runs is run here,
// in the Dockerfile's folder, with /image replaced by a folder that then becomes
// the image; user, environment and entry point are those of its last stage. It
// knows the few instructions that kinglet's Dockerfile has and refuses others,
// so the image tested is the one that is shipped.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("mkimage", flag.ContinueOnError)
	name := flags.String("name", "", "name of the image, such as localhost/app:dev")
	out := flags.String("out", "", "tar file to write")
	entry := flags.String("entrypoint", "", "entry point, words separated by spaces")
	user := flags.String("user", "", "user, as uid or uid:gid")
	dockerfile := flags.String("dockerfile", "", "Dockerfile to follow, in place of -entrypoint, -user and files")
	if err := flags.Parse(args); err != nil {
		return err
	}
	byHand := *entry != "" && flags.NArg() > 0 && *dockerfile == ""
	followed := *dockerfile != "" && cmp.Or(*entry, *user) == "" && flags.NArg() == 0
	if *name == "" || *out == "" || !byHand && !followed {
		return errors.New("usage: mkimage -name NAME -out FILE (-entrypoint CMD [-user UID:GID] SRC:DST... | -dockerfile FILE)")
	}
	if byHand {
		return write(*out, *name, imageConfig{Entrypoint: strings.Fields(*entry), User: *user}, flags.Args())
	}
	recipe, err := readRecipe(*dockerfile)
	if err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "mkimage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	if err := recipe.build(ctx, root); err != nil {
		return err
	}
	return write(*out, *name, recipe.config, []string{root + ":/"})
}
