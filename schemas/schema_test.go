package schemas

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The schema tells people the defaults; the code has them.
func TestTheDefaultsOfTheSchemaAreThoseOfTheCode(t *testing.T) {
	type property struct {
		Default    any                 `json:"default"`
		Properties map[string]property `json:"properties"`
		Items      struct {
			Properties map[string]property `json:"properties"`
		} `json:"items"`
	}
	var schema struct {
		Properties map[string]property `json:"properties"`
		Defs       map[string]property `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(InfrastructureSchema, &schema))
	document, err := Parse([]byte("apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: a}\nspec: {environment: a, drift: {}, resources: []}\n"), nil)
	require.NoError(t, err)
	drift := document.Spec.Drift.WithDefaults()
	document.Spec.Drift = &drift
	compute := Compute{Ports: []Port{{ContainerPort: 80}}}.WithDefaults()

	for name, c := range map[string]struct {
		told map[string]property
		made any
	}{
		"spec":    {schema.Properties["spec"].Properties, document.Spec},
		"drift":   {schema.Properties["spec"].Properties["drift"].Properties, drift},
		"Compute": {schema.Defs["Compute"].Properties, compute},
		"ports":   {schema.Defs["Compute"].Properties["ports"].Items.Properties, compute.Ports[0]},
		"health":  {schema.Defs["health"].Properties, Health{}.WithDefaults()},
		"http":    {schema.Defs["health"].Properties["http"].Properties, Health{HTTP: &HTTPCheck{}}.WithDefaults().HTTP},
	} {
		text, err := json.Marshal(c.made)
		require.NoError(t, err)
		made, defaults := map[string]any{}, 0
		require.NoError(t, json.Unmarshal(text, &made))
		for field, p := range c.told {
			if p.Default == nil {
				continue
			}
			defaults++
			if made[field] == nil {
				made[field] = false // left out
			}
			require.Equal(t, written(p.Default), written(made[field]), "%s.%s", name, field)
		}
		require.NotZero(t, defaults, name)
	}
}

// written is a value, and a duration in the one form that Go gives it.
func written(value any) any {
	text, _ := value.(string)
	if d, err := time.ParseDuration(text); err == nil {
		return d.String()
	}
	return value
}
