package schemas

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsTakenOverIsDeclaredAsItIs(t *testing.T) {
	tests := map[string]struct{ resource, field, want string }{
		"a volume":                {"{name: data, type: Storage, properties: {adopt: compose_data}}", "", ""},
		"a network":               {"{name: net, type: Network, properties: {adopt: compose_default, subnet: 172.18.0.0/16, internal: true}}", "", ""},
		"a volume with a size":    {"{name: data, type: Storage, properties: {adopt: compose_data, size: 1Gi}}", "properties.size", `has no meaning for volume "compose_data"`},
		"one that is to be kept":  {"{name: data, type: Storage, properties: {adopt: compose_data, retention: retain}}", "properties.retention", `has no meaning for volume "compose_data", which exists and is given back as it is; leave it out`},
		"a volume with labels":    {"{name: data, type: Storage, properties: {adopt: compose_data, labels: {a: b}}}", "properties.labels", "has no meaning"},
		"a network with labels":   {"{name: net, type: Network, properties: {adopt: compose_default, labels: {a: b}}}", "properties.labels", `cannot be put on network "compose_default"`},
		"a network with tags":     {"{name: net, type: Network, tags: {a: b}, properties: {adopt: compose_default}}", "tags", `cannot be put on network "compose_default"`},
		"one of the document":     {"{name: data, type: Storage, properties: {adopt: \"${other.name}\"}}", "properties.adopt", "refers to a resource; the name of a volume that was made by hand is expected"},
		"a size that is no size":  {"{name: data, type: Storage, properties: {size: big}}", "properties.size", "an amount of memory such as 64Mi"},
		"a size that is too much": {"{name: data, type: Storage, properties: {size: 99999999999999999Ti}}", "properties.size", "is no amount"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte("apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: staging\n  resources:\n  - "+test.resource+"\n  - {name: other, type: Storage}\n"), nil)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			var faults Faults
			require.ErrorAs(t, err, &faults)
			require.Len(t, faults, 1, faults)
			require.Equal(t, "spec.resources[0]."+test.field, faults[0].Field)
			require.Equal(t, 7, faults[0].Line)
			require.True(t, strings.Contains(faults[0].Reason, test.want), faults[0].Reason)
		})
	}
}
