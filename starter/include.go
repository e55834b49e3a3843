package starter

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"windlass/schemas"
)

// maxIncluding is how deep files may name other files; documents are not nested
// deeper either.
const maxIncluding = 8

// source is a text with the files in it that it names as Templates or as manifests of
// Kubernetes, so that a command holds all that it needs. Each file stands on the line that named it, which
// leaves the lines of the text what they are.
type source struct {
	// name is the file's name as people wrote it, path where it lies.
	name, path string
	text       []byte
	// included are the files, by the field that holds each.
	included map[string]*includedFile
	// spliced is where the last file went in: its line, and where on that.
	spliced struct{ line, from int }
}

// includedFile is a file that stands in another text; one of manifests has no tree.
type includedFile struct {
	*source
	tree *schemas.Tree
}

// sourceFaults are faults of one file.
type sourceFaults struct {
	name   string
	faults schemas.Faults
}

// Error lists the faults.
func (f *sourceFaults) Error() string { return f.name + ": " + f.faults.Error() }

// newSource puts the files into a text. What is wrong with the text itself is left
// to whoever parses it.
func newSource(name, path string, text []byte, around ...string) (*source, error) {
	s := &source{name: name, path: path, text: text, included: map[string]*includedFile{}}
	tree, err := schemas.ParseTree(text)
	if err != nil {
		return s, nil
	}
	named := namedFiles(tree)
	if len(named) == 0 {
		return s, nil
	}
	for n := len(named) - 1; n >= 0; n-- { // the last first, so that what comes before keeps its place
		file, err := s.read(named[n], append(slices.Clone(around), filepath.Clean(path)))
		if err != nil {
			return nil, err
		}
		if err := s.replace(named[n], file); err != nil {
			return nil, err
		}
	}
	if tree, err = schemas.ParseTree(s.text); err != nil || len(namedFiles(tree)) > 0 {
		return nil, s.fault(named[0], onOneLine)
	}
	return s, nil
}

// onOneLine is what to do about a name that is not found in the text.
const onOneLine = "is not found as file: PATH on that line; write key and path on a line of their own, the path in quotes where it holds more than letters, digits, -, _, . and /"

// namedFile is a "file: PATH" of a resource of type Template or Kubernetes.
type namedFile struct {
	file, field string
	place       schemas.Place
	// member is what stands in the place of "file" when the file is read.
	member string
}

// fileMembers are the members that files of the types of resource become.
var fileMembers = map[any]string{"Template": "template", string(schemas.TypeKubernetes): "manifests"}

// namedFiles lists those of a document, and of Templates that stand in it.
func namedFiles(tree *schemas.Tree) []namedFile {
	var found []namedFile
	var visit func(document any, path string)
	visit = func(document any, path string) {
		resources, _ := member(member(document, "spec"), "resources").([]any)
		for n, resource := range resources {
			becomes := fileMembers[member(resource, "type")]
			if becomes == "" {
				continue
			}
			properties, field := member(resource, "properties"), fmt.Sprintf("%sspec.resources[%d].properties", path, n)
			if file, ok := member(properties, "file").(string); ok {
				found = append(found, namedFile{file, field + ".file", tree.Place(field + ".file"), becomes})
			}
			visit(member(properties, "template"), field+".template.")
		}
	}
	visit(tree.Value, "")
	slices.SortStableFunc(found, func(a, b namedFile) int {
		if a.place.Line != b.place.Line {
			return a.place.Line - b.place.Line
		}
		return a.place.Column - b.place.Column
	})
	return found
}

func member(value any, name string) any {
	object, _ := value.(map[string]any)
	return object[name]
}

// read reads a file that is named, and those that it names itself.
func (s *source) read(named namedFile, around []string) (*includedFile, error) {
	path := named.file
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(s.path), path)
	}
	switch {
	case slices.Contains(around, path):
		return nil, s.fault(named, "names itself: "+strings.Join(append(around, path), " -> "))
	case len(around) > maxIncluding:
		return nil, s.fault(named, fmt.Sprintf("files name each other deeper than %d levels", maxIncluding))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, s.fault(named, fmt.Sprintf("cannot be read: %s; the path starts at the directory of %s", err, s.name))
	}
	if named.member == "manifests" {
		return &includedFile{source: &source{name: path, path: path, text: text}}, nil
	}
	inner, err := newSource(path, path, text, around...)
	if err != nil {
		return nil, err
	}
	original, err := schemas.ParseTree(text)
	if err != nil {
		faults, ok := err.(schemas.Faults)
		if !ok {
			return nil, err
		}
		return nil, &sourceFaults{path, faults}
	}
	return &includedFile{inner, original}, nil
}

// fileMember is a key and a path on one line.
var fileMember = regexp.MustCompile(`(?:^|[\s{,])(["']?file["']?[ \t]*:[ \t]*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'#,}\]][^#,}\]]*))`)

// replace puts a file in the place of its name: the last on the line that is not
// replaced yet.
func (s *source) replace(named namedFile, file *includedFile) error {
	content, err := file.content()
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(s.text), "\n")
	line := lines[named.place.Line-1]
	end := len(line)
	if s.spliced.line == named.place.Line {
		end = s.spliced.from
	}
	matches := fileMember.FindAllStringSubmatchIndex(line[:end], -1)
	matches = slices.DeleteFunc(matches, func(m []int) bool { return unquoted(line[m[4]:m[5]]) != named.file })
	if len(matches) == 0 {
		return s.fault(named, onOneLine)
	}
	m := matches[len(matches)-1]
	lines[named.place.Line-1] = line[:m[2]] + `"` + named.member + `": ` + content + line[m[2]+len(strings.TrimRight(line[m[2]:m[3]], " \t\r\n")):]
	s.text, s.spliced.line, s.spliced.from = []byte(strings.Join(lines, "")), named.place.Line, m[2]
	if file.tree != nil {
		s.included[strings.TrimSuffix(named.field, "file")+named.member] = file
	}
	if len(s.text) > schemas.MaxDocumentBytes {
		return s.fault(named, fmt.Sprintf("makes a document of %d bytes; at most %d are read", len(s.text), schemas.MaxDocumentBytes))
	}
	return nil
}

// content is a file as JSON: a Template as it is, manifests as one text.
func (f *includedFile) content() (string, error) {
	var value any = string(f.text)
	if f.tree != nil {
		tree, err := schemas.ParseTree(f.text)
		if err != nil {
			return "", err
		}
		value = tree.Value
	}
	text, err := json.Marshal(value)
	return string(text), err
}

func (s *source) fault(named namedFile, reason string) error {
	return &sourceFaults{s.name, schemas.Faults{{Field: named.field, Line: named.place.Line, Column: named.place.Column, Reason: fmt.Sprintf("%q %s", named.file, reason)}}}
}

// locate finds the file that a fault is in, and its place there.
func (s *source) locate(f schemas.Fault) (name string, there schemas.Fault) {
	for field, file := range s.included {
		rest, inside := strings.CutPrefix(f.Field, field+".")
		if !inside {
			continue
		}
		within := f
		within.Field = rest
		place := file.tree.Place(rest)
		within.Line, within.Column = place.Line, place.Column
		name, there = file.locate(within)
		there.Field = f.Field
		return name, there
	}
	return s.name, f
}

// unquoted is the text of a YAML or JSON scalar on one line.
func unquoted(scalar string) string {
	scalar = strings.TrimSpace(scalar)
	switch {
	case strings.HasPrefix(scalar, `"`):
		if text, err := strconv.Unquote(scalar); err == nil {
			return text
		}
	case strings.HasPrefix(scalar, "'"):
		return strings.ReplaceAll(strings.Trim(scalar, "'"), "''", "'")
	}
	return scalar
}
