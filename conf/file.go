package conf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"kinglet/conf/unit"
)

// maxFileBytes bounds one file. A hundred thousand targets fit in it.
const maxFileBytes = 4 * unit.MiB

// maxFiles bounds the files of one folder.
const maxFiles = 10_000

// DefaultDir is the tree to read when no -configs flag is given: what
// KINGLET_CONFIGS or CATEGRAF_CONFIGS names, else the first of
// /etc/kinglet/conf, /etc/categraf/conf and ./conf that exists. getenv gives
// "" for what is not set; exists reports whether there is such a folder.
func DefaultDir(getenv func(string) string, exists func(dir string) bool) string {
	for _, name := range []string{"KINGLET_CONFIGS", "CATEGRAF_CONFIGS"} {
		if dir := getenv(name); dir != "" {
			return dir
		}
	}
	for _, dir := range []string{"/etc/kinglet/conf", "/etc/categraf/conf"} {
		if exists(dir) {
			return dir
		}
	}
	return "conf"
}

// folderExists reports whether dir is a folder.
func folderExists(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}

// besideBinary is dir, or, if that is relative and not there, the folder of
// that name beside the program, where Categraf looks.
func besideBinary(dir string) string {
	if filepath.IsAbs(dir) || folderExists(dir) {
		return dir
	}
	program, err := os.Executable()
	if err != nil {
		return dir
	}
	if beside := filepath.Join(filepath.Dir(program), dir); folderExists(beside) {
		return beside
	}
	return dir
}

// document is one file, parsed.
type document struct {
	file   string // relative to the tree, with slashes
	values map[string]any
	index  *node
}

// readDocument reads and parses one file; what is wrong with it is reported.
func (l *loader) readDocument(file string) (document, bool) {
	text, err := readText(filepath.Join(l.dir, filepath.FromSlash(file)))
	if err != nil {
		l.report.errorf(Pos{File: file}, "", "%s", err)
		return document{}, false
	}
	return l.parse(file, text)
}

// readText reads a file of bounded size. Errors do not name it: the finding does.
func readText(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", reason(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("is no regular file, want a file that can be read to its end")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", reason(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(maxFileBytes)+1))
	if err != nil {
		return "", reason(err)
	}
	if len(text) > int(maxFileBytes) {
		return "", fmt.Errorf("is larger than %s, want it split into several files", maxFileBytes)
	}
	return string(text), nil
}

// reason is why a file cannot be read, without its path.
func reason(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathError.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// parse turns text into values and their index.
func (l *loader) parse(file, text string) (document, bool) {
	text = strings.TrimPrefix(text, "\ufeff")
	if at := invalidUTF8(text); at >= 0 {
		pos := Pos{File: file, Line: 1 + strings.Count(text[:at], "\n")}
		l.report.errorf(pos, "", "is not UTF-8 text, want the file saved as UTF-8")
		return document{}, false
	}
	index, line, err := buildIndex(file, text)
	if err != nil {
		l.report.errorf(Pos{File: file, Line: line}, "", "has tables, arrays or a key of more than %d levels, want fewer", maxDepth)
		return document{}, false
	}
	values, line, key, err := decodeTOML(text)
	if err != nil {
		l.report.errorf(Pos{File: file, Line: line}, key, "%s", syntaxMessage(err, key, lineOf(text, line)))
		return document{}, false
	}
	return document{file: file, values: values, index: index}, true
}

// decodeTOML decodes text. A fault comes with its line and the key before it.
// A panic of the TOML library, which it has been known to have on odd input,
// is a fault of the text.
func decodeTOML(text string) (values map[string]any, line int, key string, err error) {
	defer func() {
		if p := recover(); p != nil {
			values, line, key, err = nil, 1, "", errors.New("is no valid TOML")
		}
	}()
	_, err = toml.Decode(text, &values)
	if parse, ok := errors.AsType[toml.ParseError](err); ok {
		line := parse.Position.Line
		if strings.Contains(parse.Message, `'\n'`) {
			line-- // it stands after the line end that it complains of
		}
		return nil, min(max(line, 1), 1+strings.Count(text, "\n")), parse.LastKey, errors.New(parse.Message)
	}
	if err != nil {
		return nil, 1, "", err
	}
	return values, 0, "", nil
}

// syntaxMessage is what the TOML library says, unless it could hold a piece of
// a secret.
func syntaxMessage(err error, key, line string) string {
	if isSecret(key) || isSecret(line) {
		return "is no valid TOML: the value or its quotes are wrong, want key = \"text\""
	}
	return "is no valid TOML: " + oneLine(err.Error())
}

func lineOf(text string, line int) string {
	for range line - 1 {
		_, text, _ = strings.Cut(text, "\n")
	}
	text, _, _ = strings.Cut(text, "\n")
	return text
}

// invalidUTF8 is where text stops being UTF-8, or -1.
func invalidUTF8(text string) int {
	if utf8.ValidString(text) {
		return -1
	}
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

// list gives the names in a folder of the tree in byte order. Symbolic links
// are followed: a ConfigMap is mounted as links to ..data/NAME. files are what
// is to be read as TOML; folders are the rest that is not hidden.
func (l *loader) list(folder string) (files, folders []string, err error) {
	entries, err := os.ReadDir(filepath.Join(l.dir, filepath.FromSlash(folder)))
	if err != nil {
		return nil, nil, reason(err)
	}
	for _, e := range entries {
		name := e.Name()
		at := Pos{File: joinPath(folder, name)}
		info, statErr := os.Stat(filepath.Join(l.dir, filepath.FromSlash(at.File)))
		isFolder := statErr == nil && info.IsDir()
		switch ext := filepath.Ext(name); {
		case strings.HasPrefix(name, ".."): // ..data and the like: a ConfigMap's own
		case isFolder && ext == ".toml":
			l.report.warnf(at, "", "is a folder, want a file; nothing in it is read")
		case isFolder:
			folders = append(folders, name)
		case ext == ".toml":
			files = append(files, name)
		case slices.Contains([]string{".json", ".yaml", ".yml"}, ext):
			l.report.warnf(at, "", "is not read, want TOML in a file that ends in .toml")
		}
	}
	if len(files) > maxFiles {
		return nil, nil, fmt.Errorf("has %d files, want %d or fewer", len(files), maxFiles)
	}
	return files, folders, nil
}

func joinPath(folder, name string) string {
	if folder == "" {
		return name
	}
	return folder + "/" + name
}
