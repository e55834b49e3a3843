package images

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// source is one place where the machine's apt gets packages from.
type source struct {
	uri        string
	suites     []string
	components []string
}

// aptSources reads /etc/apt in both of its formats: one line per source, and paragraphs of fields.
func aptSources(root fs.FS) ([]source, error) {
	var sources []source
	lists, err := fs.Glob(root, "etc/apt/sources.list.d/*.list")
	if err != nil {
		return nil, err
	}
	for _, path := range append([]string{"etc/apt/sources.list"}, lists...) {
		content, err := fs.ReadFile(root, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("apt sources: %w", err)
		}
		sources = append(sources, parseList(string(content))...)
	}
	paragraphs, err := fs.Glob(root, "etc/apt/sources.list.d/*.sources")
	if err != nil {
		return nil, err
	}
	for _, path := range paragraphs {
		content, err := fs.ReadFile(root, path)
		if err != nil {
			return nil, fmt.Errorf("apt sources: %w", err)
		}
		sources = append(sources, parseParagraphs(string(content))...)
	}
	return sources, nil
}

// parseList reads lines like `deb [signed-by=/key] http://mirror/debian bookworm main`.
func parseList(content string) []source {
	var sources []source
	for line := range strings.Lines(content) {
		line, _, _ = strings.Cut(line, "#")
		if before, rest, found := strings.Cut(line, "["); found {
			_, after, _ := strings.Cut(rest, "]")
			line = before + after
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[0] != "deb" {
			continue
		}
		sources = append(sources, source{uri: fields[1], suites: fields[2:3], components: fields[3:]})
	}
	return sources
}

// parseParagraphs reads paragraphs of `Field: value` lines. A line that begins with a blank continues the value before it.
func parseParagraphs(content string) []source {
	var sources []source
	for paragraph := range strings.SplitSeq(content, "\n\n") {
		fields := map[string][]string{}
		var field string
		for line := range strings.Lines(paragraph) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			value := line
			if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
				var name string
				name, value, _ = strings.Cut(line, ":")
				field = strings.ToLower(name)
			}
			fields[field] = append(fields[field], strings.Fields(value)...)
		}
		if slices.Contains(fields["enabled"], "no") || !slices.Contains(fields["types"], "deb") {
			continue
		}
		for _, uri := range fields["uris"] {
			sources = append(sources, source{uri: uri, suites: fields["suites"], components: fields["components"]})
		}
	}
	return sources
}

// mirrorFor picks the address from which debootstrap can get the suite: the source that lists it, or on a machine of another
// release any mirror of the whole archive.
func mirrorFor(suite string, sources []source) (string, error) {
	usable := slices.DeleteFunc(slices.Clone(sources), func(s source) bool {
		return !strings.HasPrefix(s.uri, "http://") && !strings.HasPrefix(s.uri, "https://") ||
			!slices.Contains(s.components, "main")
	})
	for _, s := range usable {
		if slices.Contains(s.suites, suite) {
			return s.uri, nil
		}
	}
	for _, s := range usable {
		if strings.HasSuffix(strings.TrimSuffix(s.uri, "/"), "/debian") {
			return s.uri, nil
		}
	}
	return "", fmt.Errorf("no Debian mirror for %s in /etc/apt/sources.list or sources.list.d: add one over http or https", suite)
}
