package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func TestThePageIsThatOfTheSchema(t *testing.T) {
	want, err := newPage()
	require.NoError(t, err)
	found, err := os.ReadFile(filepath.Join("..", "..", file))
	require.NoError(t, err)
	require.Equal(t, want, string(found), "write it anew with: make reference")
}

func TestEveryFieldSaysWhatItMeans(t *testing.T) {
	var root schema
	require.NoError(t, json.Unmarshal(schemas.InfrastructureSchema, &root))
	var look func(path string, s *schema)
	look = func(path string, s *schema) {
		for _, one := range s.Properties {
			require.NotEmpty(t, one.schema.Description, path+one.name)
			look(path+one.name+".", one.schema)
		}
		if s.Items != nil {
			look(path+"[].", s.Items)
		}
	}
	look("", &root)
	var container schema
	require.NoError(t, json.Unmarshal(schemas.ContainerSchema, &container))
	look("", &container)
	var providers schema
	require.NoError(t, json.Unmarshal(schemas.ProvidersSchema, &providers))
	look("", &providers)
	for name, definition := range providers.Defs {
		look(name+".", definition)
	}
	for name, definition := range root.Defs {
		look(name+".", definition)
	}
}
