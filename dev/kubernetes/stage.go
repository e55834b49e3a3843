package kubernetes

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"strings"
	"text/template"
)

const (
	// FateLabel is the label of a pod that names its fate; see the package comment.
	FateLabel = "test/fate"
	// AfterAnnotation is the annotation of a pod that says after how long its fate comes about, such as "500ms".
	AfterAnnotation = "test/after"

	// Provisioner is that of the default StorageClass, "standard". Claims of any class with this provisioner get a volume.
	Provisioner = "test/storage"
	// ExternalIP is the address that every Service of type LoadBalancer gets. Nothing listens there.
	ExternalIP = "203.0.113.10"

	// lastWords is the last line that a container writes before it ends badly.
	lastWords = "fatal: cannot go on"
)

// The fate of a pod, and its time, in jq: by label and annotation, or by the image of its first container that names one.
const (
	fateQuery  = `.metadata.labels["test/fate"] // ([.spec.containers[].image | capture("^fate\\.test/(?<it>[a-z-]+)").it] | first)`
	afterQuery = `.metadata.annotations["test/after"] // ([.spec.containers[].image | capture("^fate\\.test/[a-z-]+/(?<it>[0-9]+m?s)(:|@|$)").it] | first) // "%s"`
)

// crash is a way for a container to end badly.
type crash struct {
	Fate     string
	Reason   string
	ExitCode int
}

//go:embed stages
var stageFiles embed.FS

var stageFunctions = template.FuncMap{
	"fate":        func() string { return yamlQuote(fateQuery) },
	"after":       func(byDefault string) string { return yamlQuote(fmt.Sprintf(afterQuery, byDefault)) },
	"provisioner": func() string { return Provisioner },
	"externalIP":  func() string { return ExternalIP },
	"lastWords":   func() string { return lastWords },
	"crashes": func() []crash {
		return []crash{{"crash", "Error", 1}, {"out-of-memory", "OOMKilled", 137}}
	},
}

// kwokSettings let KWOK keep up with a Deployment of hundreds of pods. It has no defaults for what a given document leaves out.
const kwokSettings = `apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  podPlayStageParallelism: 16
  nodePlayStageParallelism: 4
  podsOnNodeSyncParallelism: 4
  nodeLeaseParallelism: 4
  nodeLeaseDurationSeconds: 40
`

// writeStages writes all stages into one file for KWOK and returns its path.
func (c *Cluster) writeStages() (path string, err error) {
	documents := append([]string{kwokSettings}, c.options.Stages...)
	for _, kind := range []string{"node", "pod", "service", "volume"} {
		document, err := renderStages(kind)
		if err != nil {
			return "", err
		}
		documents = append(documents, document)
	}
	path = c.path("stages.yaml")
	return path, os.WriteFile(path, []byte(strings.Join(documents, "\n---\n")), 0o600)
}

// renderStages fills in one of the embedded files. Its delimiters are square since KWOK reads the curly ones.
func renderStages(kind string) (string, error) {
	name := kind + ".yaml"
	t, err := template.New(name).Delims("[[", "]]").Funcs(stageFunctions).ParseFS(stageFiles, "stages/"+name)
	if err != nil {
		return "", err
	}
	var document bytes.Buffer
	if err := t.Execute(&document, nil); err != nil {
		return "", err
	}
	return document.String(), nil
}

func yamlQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
