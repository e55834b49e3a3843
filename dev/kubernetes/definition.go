package kubernetes

import (
	"context"
	"fmt"
	"slices"
)

// defineKinds comes before KWOK, which ends when it finds a stage for a kind that it cannot read about.
func (c *Cluster) defineKinds(ctx context.Context) error {
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	documents := c.options.CRDs
	if c.options.GatewayAPI {
		gateways, err := gatewayAPI(ctx)
		if err != nil {
			return err
		}
		documents = slices.Concat(documents, gateways)
	}
	if len(documents) == 0 {
		return nil
	}
	for _, document := range documents {
		if err := c.api.create(ctx, path, document); err != nil {
			return err
		}
	}
	var definitions struct {
		Items []struct {
			Spec struct {
				Group    string                  `json:"group"`
				Versions []struct{ Name string } `json:"versions"`
			} `json:"spec"`
		} `json:"items"`
	}
	if err := c.api.get(ctx, path, &definitions); err != nil {
		return err
	}
	return await(ctx, "the custom resources are", append(c.others, c.server), func(ctx context.Context) error {
		// What a kind looks like is published last, after the kind itself is there.
		var published struct {
			Paths map[string]any `json:"paths"`
		}
		if err := c.api.get(ctx, "/openapi/v3", &published); err != nil {
			return err
		}
		for _, definition := range definitions.Items {
			for _, version := range definition.Spec.Versions {
				path := "apis/" + definition.Spec.Group + "/" + version.Name
				if published.Paths[path] == nil {
					return fmt.Errorf("%s is not published", path)
				}
			}
		}
		return nil
	})
}
