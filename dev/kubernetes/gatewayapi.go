package kubernetes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/gateway-api/pkg/consts"
)

// gatewayKinds are the kinds of the Gateway API that a way in for HTTP needs.
var gatewayKinds = []string{"gatewayclasses", "gateways", "httproutes"}

// gatewayAPI reads the CustomResourceDefinitions of the Gateway API, of its standard channel. They come with its Go module.
func gatewayAPI(ctx context.Context) ([]string, error) {
	module, err := goOutput(ctx, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api")
	if err != nil {
		return nil, err
	}
	var definitions []string
	for _, kind := range gatewayKinds {
		path := filepath.Join(module, "config", "crd", "standard", "gateway.networking.k8s.io_"+kind+".yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("the definitions of the Gateway API: %w", err)
		}
		if !strings.Contains(string(text), consts.BundleVersionAnnotation+": "+consts.BundleVersion) {
			return nil, fmt.Errorf("%s is not of version %s", path, consts.BundleVersion)
		}
		definitions = append(definitions, string(text))
	}
	return definitions, nil
}
